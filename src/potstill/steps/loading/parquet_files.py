"""Load rows from Parquet files, one row group at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, field
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.engine.rows.casting import as_objects, recast_table
from potstill.engine.rows.common_types import common_schema
from potstill.engine.rows.features import common_metadata
from potstill.engine.rows.files import GROUP_BYTES, GROUP_ROWS
from potstill.engine.rows.flaws import Flaw, Flawed
from potstill.engine.rows.objects import is_json
from potstill.engine.rows.reading import batches, schema_of
from potstill.engine.step import Estimate, Step
from potstill.errors import BadInput, Problem
from potstill.steps.loading.files import Files, matched
from potstill.steps.loading.schema import WORDS, Findings, Schema, kind_of, schema_problems

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

        parts, rows = list[pa.Schema](), 0
        problems: list[Problem] = []
        for path in matched(self.path):
            findings = Findings(str(path))
            try:
                described = schema_of(path)
                rows += pq.read_metadata(path).num_rows
            except (pa.ArrowException, OSError) as error:
                findings.add("", f"is no Parquet file that can be read: {error}")
            else:
                asked = pa.schema([_asked(part, self.schema) for part in described], described.metadata)
                common, wrong = common_schema([*parts, asked])
                for message in (*_mismatches(described, self.schema), *wrong):
                    # the file's own name is in the message already
                    findings.add("", message.replace(f" of input {len(parts)}", ""))
                parts += [asked] if not findings.count else []
            problems += [Problem("", "path", problem.message) for problem in findings.problems()]
        if not rows and not problems:
            problems.append(Problem("", "path", f"no rows in {self.path}: give a file that has some"))
        common, unlike = common_metadata(self._promised(common_schema(parts)[0]), parts)
        problems += [Problem("", "path", message) for message in unlike]
        return common, problems

    def _promised(self, inferred: pa.Schema) -> pa.Schema:
        """Return the schema with the types that the user names, and with the columns that may be missing."""
        import pyarrow as pa

        plain = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
        wanted = {name: plain.get(kind_of(annotation).name) for name, annotation in self.schema.items()}
        missing = [pa.field(name, kind or pa.null()) for name, kind in wanted.items() if name not in inferred.names]
        return pa.schema([*(part.with_type(wanted.get(part.name) or part.type) for part in inferred), *missing])

    def _batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield the rows of all files; missing values where none may be are an error.

        Raises:
            BadInput: values are missing, or can't be read.
        """
        import pyarrow as pa

        required = [name for name, kind in self.schema.items() if not kind_of(kind).optional]
        for path in matched(self.path):
            findings = Findings(str(path))
            start = 0
            try:
                for batch in batches(path, GROUP_ROWS, GROUP_BYTES):
                    for name in required:
                        if batch.column(name).null_count:
                            row = start + batch.column(name).is_null().to_pylist().index(True)
                            remedy = "put a ? behind its type in schema= to allow it"
                            findings.add(f"row {row}", f"field {name!r} is missing ({remedy})")
                    yield from recast_table(_given(batch, schema), schema).to_batches()
                    start += batch.num_rows
            except Flawed as error:
                for flaw in error.flaws:
                    findings.add(f"row {start + flaw.row}", f"field {flaw.path!r} {flaw.what}: {flaw.remedy}")
            except (pa.ArrowException, OSError) as error:
                findings.add(f"rows from {start}", f"can't be read: {error}")
            if findings.count:
                raise BadInput(*(Problem("", "path", problem.message) for problem in findings.problems()))


def _asked(part: pa.Field, schema: Mapping[str, Any]) -> pa.Field:
    """Return a field, of a type that rows can hold where the user asks for it: maps as objects, UUIDs as texts."""
    import pyarrow as pa

    wanted = kind_of(schema[part.name]).name if part.name in schema else ""
    if wanted == "dict" and pa.types.is_map(part.type):
        return part.with_type(pa.json_())
    if wanted == "str" and getattr(part.type, "extension_name", "") == "arrow.uuid":
        return part.with_type(pa.string())
    return part


def _given(batch: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    """Return a batch whose maps are objects, and UUIDs texts, where the schema has these."""
    import pyarrow as pa

    columns = []
    for array, part in zip(batch.columns, batch.schema, strict=True):
        if pa.types.is_map(part.type):
            columns.append(_objects(array, part.name))
        elif getattr(part.type, "extension_name", "") == "arrow.uuid":
            columns.append(pa.array([None if value is None else str(value) for value in array.to_pylist()]))
        else:
            columns.append(array)
    return pa.table(columns, names=batch.schema.names)


def _objects(maps: pa.MapArray, name: str) -> pa.Array:
    """Return maps as objects with keys of their own.

    Raises:
        Flawed: a key is no text, or is there twice.
    """
    try:
        return as_objects(maps.to_pylist(maps_as_pydicts="strict"))
    except Flawed as error:
        raise error.inside(name) from error
    except KeyError:
        twice = (row for row, pairs in enumerate(maps.to_pylist()) if len(dict(pairs or ())) < len(pairs or ()))
        remedy = "make it a list of objects with a key and a value"
        raise Flawed([Flaw(row, "holds a map with a key that is there twice", remedy, name) for row in twice]) from None


def _mismatches(described: pa.Schema, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield where a file's columns are not what the user says."""
    import pyarrow.types as kinds

    tests = {
        "str": lambda kind: (
            kinds.is_string(kind)
            or kinds.is_large_string(kind)
            or kinds.is_string_view(kind)
            or getattr(kind, "extension_name", "") == "arrow.uuid"
        ),
        "int": kinds.is_integer,
        "float": lambda kind: kinds.is_floating(kind) or kinds.is_integer(kind),
        "bool": kinds.is_boolean,
        "list": lambda kind: kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind),
        "dict": lambda kind: kinds.is_struct(kind) or kinds.is_map(kind) or is_json(kind),
    }
    for name, annotation in schema.items():
        kind = kind_of(annotation)
        if name not in described.names:
            if not kind.optional:
                yield f"no field {name!r} (it has {', '.join(described.names)})"
            continue
        actual = described.field(name).type
        if not (tests[kind.name](actual) or (kinds.is_null(actual) and kind.optional)):
            yield f"field {name!r} must be {WORDS[kind.name]}, but it holds {actual}"
