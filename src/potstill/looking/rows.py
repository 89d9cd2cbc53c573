"""The rows of an artifact, or those that meet a condition: as many as somebody wants to see."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.engine.inventory import complete_key, whole_artifact
from potstill.engine.pipeline import open_store
from potstill.engine.rows.files import first_rows
from potstill.engine.store.artifacts import KEPT, Artifact
from potstill.errors import BadInput, MissingExtra, RequestError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SETTINGS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "python_enable_replacements": "false",
    "preserve_insertion_order": "true",
    "threads": "1",
}
"""Nothing is installed, no variable of the program is reached; one thread, so that rows come in their order."""


BY_STATISTICS = "filter_pushdown,statistics_propagation,row_group_pruner"
"""What DuckDB does by the least and the largest value that a file names of a column: NaN is neither, so that rows with
one would be passed over, and `isnan` would be false of all."""


@dataclass(frozen=True)
class Excerpt:
    """Some rows of an artifact."""

    key: str
    """Key of the artifact."""
    name: str
    """Name of the step that made it."""
    output: str
    """Which of its outputs; empty where it has one."""
    columns: Mapping[str, str]
    """Type of each column, as Parquet holds it."""
    total: int
    """How many rows there are."""
    matching: int | None
    """How many of them meet the condition; None without one."""
    rows: Sequence[Mapping[str, Any]]
    """The first of these, whole."""

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        return {
            "key": self.key,
            "name": self.name,
            "output": self.output,
            "columns": dict(self.columns),
            "total": self.total,
            "matching": self.matching,
            "rows": [{name: plain(value) for name, value in row.items()} for row in self.rows],
        }


def excerpt(store: str | None, start: str, count: int, where: str = "", output: str = "") -> Excerpt:
    """Return the first `count` rows of the artifact whose key begins with `start`, of those that meet `where`.

    Raises:
        RequestError: there is no such artifact or output, it holds no rows, or the condition can't be used.
    """
    opened = open_store(store)
    artifact = whole_artifact(opened, complete_key(opened, start))
    files = files_of(artifact, output)
    columns, total = shape(files)
    if where:
        matching, rows = _matching(files, where, count, columns)
        return Excerpt(artifact.key, artifact.manifest["name"], output, columns, total, matching, rows)
    return Excerpt(artifact.key, artifact.manifest["name"], output, columns, total, None, first_rows(files, count))


def files_of(artifact: Artifact, output: str) -> list[Path]:
    """Return the Parquet files of an artifact's rows.

    Raises:
        RequestError: it has no such output, or no rows.
    """
    outputs = [str(name) for name in artifact.manifest["outputs"]]
    if output and output not in outputs:
        near = difflib.get_close_matches(output, outputs, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(outputs) or 'only one'}"
        raise RequestError(f"{artifact.manifest['name']} has no output {output!r}: {hint}")
    if outputs and not output:
        raise RequestError(f"{artifact.manifest['name']} has several outputs: give --output {'|'.join(outputs)}")
    if not outputs and KEPT in artifact.manifest["files"]:
        return [artifact.path / KEPT]
    paths = [artifact.path / "data" / output / name for name in artifact.parts(output)]
    if not paths:
        text = f"{artifact.manifest['name']} made {artifact.manifest['makes']} and keeps no rows"
        raise RequestError(f"{text}; `potstill show {artifact.key[:12]}` shows what it has")
    return paths


def shape(files: Sequence[Path]) -> tuple[dict[str, str], int]:
    """Return the type of each column and the number of rows, from the files' footers."""
    from pyarrow import parquet

    schema = parquet.read_schema(files[0])
    total = sum(int(parquet.read_metadata(file).num_rows) for file in files)
    return {field.name: str(field.type) for field in schema}, total


def _matching(
    files: Sequence[Path], where: str, count: int, columns: Mapping[str, str]
) -> tuple[int, list[dict[str, Any]]]:
    """Return how many rows meet a condition in DuckDB's SQL, and the first of them; no other file is reached.

    Raises:
        MissingExtra: DuckDB is not installed.
        BadInput: the condition can't be used.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtra("--where", "duckdb", "data") from error
    connection = duckdb.connect(":memory:", config=SETTINGS)
    try:
        confine(connection, files)
        relation = connection.from_parquet([str(file) for file in files]).filter(where)
        # by rows, not by the relation's own count, which is of a column's values
        matching = int(relation.aggregate("count(*)").fetchall()[0][0])
        return matching, relation.limit(count).to_arrow_table().to_pylist()
    except duckdb.Error as error:
        column_list = ", ".join(f"{name} ({kind})" for name, kind in columns.items())
        what = " ".join(str(error).split())[:300]
        raise BadInput(f"--where {where!r}: {what}; the columns are {column_list}") from error
    finally:
        connection.close()


def confine(connection: DuckDBPyConnection, files: Sequence[Path]) -> None:
    """Let a connection reach `files` and nothing else, for good; times are shown in UTC."""
    connection.execute("SET allowed_paths = ?", [[str(file) for file in files]])
    connection.execute("SET enable_external_access = false")
    connection.execute("SET TimeZone = 'UTC'")
    if any("float" in kind or "double" in kind for file in files for kind in shape([file])[0].values()):
        connection.execute(f"SET disabled_optimizers = '{BY_STATISTICS}'")
    connection.execute("SET lock_configuration = true")


def plain(value: object) -> Any:
    """Return a cell as JSON can hold it: numbers that JSON lacks as None, bytes and dates as texts."""
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
