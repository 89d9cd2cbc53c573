"""Query rows with SQL in DuckDB (Raasveldt and Muehleisen 2019)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.engine.rows.files import GROUP_ROWS
from potstill.engine.rows.objects import of_texts
from potstill.engine.running.interrupts import held_back
from potstill.engine.step import Rows, Step
from potstill.errors import BadInput, MissingExtra, Problem
from potstill.steps.rows.sql_syntax import changing

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

    from potstill.engine.context import Context

SETTINGS = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "preserve_insertion_order": "true",
    "threads": "1",
}
"""No file, no network, no variable of the program is reached; one thread, so that rows come in the same order."""


class SQL(Step):
    """Queries rows as SQL tables.

    One `SELECT` (also `WITH ... SELECT`) in DuckDB's dialect. It sees the tables named here, and neither files nor the
    network. The same query gives the same rows; say `ORDER BY` where their order matters to you.

    >>> rows = LoadRows([{"intent": "on", "n": 1}, {"intent": "off", "n": 5}, {"intent": "on", "n": 2}])
    >>> show(SQL("SELECT intent, sum(n) AS n FROM rows GROUP BY intent ORDER BY n", tables={"rows": rows}))
    {'intent': 'on', 'n': 3}
    {'intent': 'off', 'n': 5}
    """

    query: str
    """The query."""
    _: KW_ONLY
    tables: Mapping[str, Rows]
    """Table name to the step whose rows it holds."""

    makes: ClassVar[str] = "rows"
    unordered: ClassVar[frozenset[str]] = frozenset({"tables"})

    def check(self) -> Iterable[Problem]:
        """Yield a problem if this is no single SELECT, or one whose result changes from run to run."""
        duckdb = _duckdb()
        try:
            statements = duckdb.connect(":memory:").extract_statements(self.query)
        except duckdb.Error as error:
            yield Problem("", "query", f"is no valid SQL: {error}")
            return
        kinds = [statement.type.name for statement in statements]
        if kinds != ["SELECT"]:
            yield Problem("", "query", f"must be one SELECT, got {', '.join(kinds) or 'nothing'}")
        else:
            for name in changing(duckdb.connect(":memory:", config=SETTINGS), self.query):
                text = f"{name} gives another result each time, which can't be kept: use Shuffle(seed=...) or a column"
                yield Problem("", "query", text)

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the query's result, where it can be inferred without the columns' types.

        Raises:
            BadInput: the query names a table or a column that is not there.
        """
        by_table = {name: inputs.get(f"tables[{name}]") for name in self.tables}
        if any(columns is None for columns in by_table.values()):
            return None
        duckdb = _duckdb()
        connection = duckdb.connect(":memory:", config=SETTINGS)
        for name, columns in by_table.items():
            listed = ", ".join(f"NULL AS {_quoted(column)}" for column in sorted(columns or ()))
            connection.execute(f"CREATE VIEW {_quoted(name)} AS SELECT {listed}")
        try:
            return frozenset(part[0] for part in connection.execute(f"DESCRIBE {self.query}").fetchall())
        except duckdb.CatalogException as error:
            raise BadInput(Problem("", "query", str(error))) from error
        except duckdb.BinderException as error:
            if "not found" in str(error) or "does not have a column" in str(error):
                raise BadInput(Problem("", "query", str(error))) from error
            return None
        except duckdb.Error:
            return None  # the columns' types are not known yet

    def run(self, tables: Mapping[str, Dataset], context: Context) -> pa.RecordBatchReader:
        """Return the query's rows, a batch at a time; what does not fit into memory goes to the work folder.

        Raises:
            BadInput: the query fails.
        """
        import pyarrow as pa

        duckdb = _duckdb()
        connection = duckdb.connect(":memory:", config={**SETTINGS, "temp_directory": str(context.work / "duckdb")})
        for name, rows in tables.items():
            connection.register(name, rows.with_format("arrow")[:])
        connection.execute("SET TimeZone = 'UTC'")  # else the machine's, in all texts and parts of times with a zone
        # locks the settings above against the query
        connection.execute("SET lock_configuration = true")
        try:
            relation = connection.sql(self.query)
            reader = relation.to_arrow_reader(GROUP_ROWS)
        except duckdb.Error as error:
            raise BadInput(Problem("", "query", str(error))) from error
        kinds = zip(relation.columns, relation.types, strict=True)
        objects = [number for number, (_, kind) in enumerate(kinds) if str(kind) == "JSON"]
        texts = _plain(reader.schema)
        schema = texts
        for number in objects:
            schema = schema.set(number, schema.field(number).with_type(pa.json_()))

        def batches() -> Iterator[pa.RecordBatch]:
            try:
                for batch in reader:
                    columns = batch.cast(texts).columns
                    for number in objects:
                        columns[number] = of_texts(columns[number])
                    yield pa.RecordBatch.from_arrays(columns, schema=schema)
            except (pa.ArrowException, duckdb.Error, OSError) as error:
                raise BadInput(Problem("", "query", str(error))) from error
            finally:
                connection.close()

        return pa.RecordBatchReader.from_batches(schema, batches())


def _duckdb() -> Any:
    """Return the module.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        with held_back():
            import duckdb
    except ImportError as error:
        raise MissingExtra("SQL", "duckdb", "data") from error
    return duckdb


def _plain(schema: pa.Schema) -> pa.Schema:
    """Return a schema without decimals: DuckDB's sums of integers, and numbers written like 0.5, are such."""
    import pyarrow as pa

    def simple(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_decimal(kind):
            return pa.float64() if kind.scale else pa.int64()
        return kind

    return pa.schema([field.with_type(simple(field.type)) for field in schema])


def _quoted(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
