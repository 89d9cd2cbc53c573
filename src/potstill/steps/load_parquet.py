"""Loading rows from Parquet files, one row group at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, field
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.errors import BadInput, Problem
from potstill.rows import GROUP_ROWS
from potstill.step import Estimate, Step
from potstill.steps.files import Files, matched
from potstill.steps.schema import WORDS, Findings, Schema, kind_of, schema_problems

if TYPE_CHECKING:
    import pyarrow as pa


class LoadParquet(Step):
    """Reads Parquet files; they must go together: a column has one type in all, and is missing where a file lacks it.

    >>> import pandas
    >>> pandas.DataFrame({"text": ["on", "off"], "level": [1, 2]}).to_parquet("rows.parquet")
    >>> show(LoadParquet("rows.parquet"))
    {'text': 'on', 'level': 1}
    {'text': 'off', 'level': 2}
    """

    path: Files
    """A file, several, or a glob."""
    _: KW_ONLY
    schema: Schema = field(default_factory=dict)
    """Types that columns must have, such as `{"text": str, "level": "int?"}`; other columns are taken as they are."""

    makes: ClassVar[str] = "rows"

    def check(self) -> Iterable[Problem]:
        """Yield what the files' descriptions show to be wrong; their rows are not read."""
        wrong = list(schema_problems(self.schema))
        yield from wrong or self._described()[1]

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the files."""
        schema, problems = self._described()
        return None if problems else frozenset(schema.names)

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows of the files."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return Estimate(rows=sum(pq.read_metadata(path).num_rows for path in matched(self.path)))
        except (OSError, pa.ArrowException):
            return Estimate()

    def run(self) -> pa.RecordBatchReader:
        """Return the rows.

        Raises:
            BadInput: anything is wrong with the files.
        """
        import pyarrow as pa

        schema, problems = self._described()
        if problems:
            raise BadInput(*problems)
        return pa.RecordBatchReader.from_batches(schema, self._batches(schema))

    def _described(self) -> tuple[pa.Schema, list[Problem]]:
        """Return the schema of all files together, and what is wrong with it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        common, rows = pa.schema([]), 0
        problems: list[Problem] = []
        for path in matched(self.path):
            findings = Findings(str(path))
            try:
                described = pq.read_schema(path).remove_metadata()
                rows += pq.read_metadata(path).num_rows
                common = pa.unify_schemas([common, described], promote_options="permissive")
            except (pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
                findings.add("", f"does not go with the files before it: {error}")
            except (pa.ArrowException, OSError) as error:
                findings.add("", f"is no Parquet file that can be read: {error}")
            else:
                for message in _mismatches(described, self.schema):
                    findings.add("", message)
            problems += [Problem("", "path", problem.message) for problem in findings.problems()]
        if not rows and not problems:
            problems.append(Problem("", "path", f"no rows in {self.path}: give a file that has some"))
        return self._promised(common), problems

    def _promised(self, found: pa.Schema) -> pa.Schema:
        """Return the schema with the types that the user names."""
        import pyarrow as pa

        plain = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
        wanted = {name: plain.get(kind_of(given).name) for name, given in self.schema.items()}
        return pa.schema([part.with_type(wanted.get(part.name) or part.type) for part in found])

    def _batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield the rows of all files; missing values where none may be are an error.

        Raises:
            BadInput: values are missing, or can't be read.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        required = [name for name, given in self.schema.items() if not kind_of(given).optional]
        for path in matched(self.path):
            findings = Findings(str(path))
            start = 0
            try:
                for batch in pq.ParquetFile(path).iter_batches(batch_size=GROUP_ROWS):
                    for name in required:
                        if batch.column(name).null_count:
                            row = start + batch.column(name).is_null().to_pylist().index(True)
                            remedy = "put a ? behind its type in schema= to allow it"
                            findings.add(f"row {row}", f"field {name!r} is missing ({remedy})")
                    yield from _fitted(batch, schema)
                    start += batch.num_rows
            except (pa.ArrowException, OSError) as error:
                findings.add(f"rows from {start}", f"can't be read: {error}")
            if findings.count:
                raise BadInput(*(Problem("", "path", problem.message) for problem in findings.problems()))


def _fitted(batch: pa.RecordBatch, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield a batch with all columns of `schema`, in its order and types."""
    import pyarrow as pa

    have = set(batch.schema.names)
    columns = [
        batch.column(part.name).cast(part.type) if part.name in have else pa.nulls(batch.num_rows, part.type)
        for part in schema
    ]
    yield pa.RecordBatch.from_arrays(columns, schema=schema)


def _mismatches(described: pa.Schema, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield where a file's columns are not what the user says."""
    import pyarrow.types as kinds

    tests = {
        "str": lambda kind: kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind),
        "int": kinds.is_integer,
        "float": lambda kind: kinds.is_floating(kind) or kinds.is_integer(kind),
        "bool": kinds.is_boolean,
        "list": lambda kind: kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind),
        "dict": lambda kind: kinds.is_struct(kind) or kinds.is_map(kind),
    }
    for name, given in schema.items():
        kind = kind_of(given)
        if name not in described.names:
            if not kind.optional:
                yield f"no field {name!r} (it has {', '.join(described.names)})"
            continue
        found = described.field(name).type
        if not (tests[kind.name](found) or (kinds.is_null(found) and kind.optional)):
            yield f"field {name!r} must be {WORDS[kind.name]}, but it holds {found}"
