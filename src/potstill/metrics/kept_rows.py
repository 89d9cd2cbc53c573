"""The rows that an evaluation keeps beside its figures, by which a report pairs two models: written and read here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "rows.parquet"
"""Name of the file."""
RIGHT = ("correct", "exact_match")
"""Columns that say whether an answer is right, by the step that wrote the file."""
SPANS = ("spans_right", "spans_found", "spans_there")
"""Columns that count a text's spans."""
TEXTS = ("id", "set", "input", "gold", "answer", "probability", "cluster")
"""Columns that say what was asked and answered, of those that an evaluation may keep."""
_TYPES = {"text": "string", "count": "int64", "flag": "bool", "number": "float64"}


@dataclass(frozen=True)
class KeptAnswer:
    """One row with what a model answered."""

    id: str
    """Id of the row, or its number."""
    set: str
    """The test set."""
    input: str
    """What was asked."""
    gold: str
    """The right answer."""
    answer: str
    """What the model answered."""
    right: bool | None
    """Whether that is right; `None` of what is neither right nor wrong, such as a translation."""
    probability: float | None
    """Of the answer, where the model gives one."""
    cluster: str | None
    """What the row comes from, if that is known."""


@dataclass(frozen=True)
class KeptRows:
    """What was kept of one test set, row by row in its order."""

    right: tuple[bool, ...]
    """Whether each answer is right; empty where that was not kept, or not of every row."""
    clusters: tuple[str | None, ...]
    """What each row comes from; empty where no row says so."""
    spans: tuple[tuple[int, ...], ...]
    """Spans of each row: right, found and there; empty of what is no labelling of words."""

    @property
    def sources(self) -> list[str] | None:
        """Return the cluster of each row, one that names none being alone; `None` where all are."""
        if not self.clusters:
            return None
        return [f"row {place}" if one is None else f"of {one}" for place, one in enumerate(self.clusters)]


def present(value: object) -> Any:
    """Return a value of a row, `None` where there is none: pandas writes that as NaN, which is no label and no source.

    >>> present(float("nan")), present(0.0), present("nan")
    (None, 0.0, 'nan')
    """
    return None if isinstance(value, float) and value != value else value


def written(text: str) -> str:
    """Return a text as UTF-8 holds it: half a character, which a model may write, becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


def write(folder: Path, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write `rows` into `folder`; the same rows always give the same bytes.

    Args:
        folder: where; made if it isn't there.
        columns: what each column holds, by name: `text`, `count`, `flag` or `number`.
        rows: the rows, by column.
    """
    import pyarrow as pa
    from pyarrow import parquet

    folder.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(name, pa.type_for_alias(_TYPES[kind])) for name, kind in columns.items()])
    records = [{name: written(one) if isinstance(one, str) else one for name, one in row.items()} for row in rows]
    parquet.write_table(pa.Table.from_pylist(records, schema=schema), folder / FILE, compression="zstd")


def read(folder: Path | None) -> dict[str, KeptRows]:
    """Return what pairs need of the rows in `folder`, by test set; nothing where none were kept."""
    if folder is None or not (folder / FILE).is_file():
        return {}
    import pyarrow as pa
    from pyarrow import parquet

    try:
        there = parquet.read_schema(folder / FILE).names
        wanted = [name for name in ("set", "cluster", *RIGHT, *SPANS) if name in there]
        table = parquet.read_table(folder / FILE, columns=wanted).to_pydict()
    except pa.ArrowInvalid:  # a file of that name that is none of ours
        return {}
    places: dict[str, list[int]] = {}
    for place, name in enumerate(table.get("set") or ()):
        places.setdefault(str(name), []).append(place)
    return {name: _kept(table, own) for name, own in places.items()}


def read_answers(folder: Path | None) -> list[KeptAnswer]:
    """Return the rows in `folder` with their texts, in their order; nothing where none were kept."""
    if folder is None or not (folder / FILE).is_file():
        return []
    import pyarrow as pa
    from pyarrow import parquet

    try:
        names = parquet.read_schema(folder / FILE).names
        if not {"set", "input", "gold", "answer"} <= set(names):
            return []
        table = parquet.read_table(folder / FILE, columns=[name for name in (*TEXTS, *RIGHT) if name in names])
    except pa.ArrowInvalid:  # a file of that name that is none of ours
        return []
    right = next((name for name in RIGHT if name in names), "")
    return [_answer(row, number, row.get(right)) for number, row in enumerate(table.to_pylist())]


def _answer(row: Mapping[str, Any], number: int, right: object) -> KeptAnswer:
    """Return one row of a file; a text that was not kept is empty."""
    texts = {name: "" if row.get(name) is None else str(row[name]) for name in ("set", "input", "gold", "answer")}
    row_id = str(number if row.get("id") is None else row["id"])
    cluster = None if row.get("cluster") is None else str(row["cluster"])
    probability = row.get("probability")
    return KeptAnswer(
        id=row_id,
        **texts,
        right=None if right is None else bool(right),
        probability=probability if isinstance(probability, float) else None,
        cluster=cluster,
    )


def _kept(table: Mapping[str, list[Any]], places: list[int]) -> KeptRows:
    """Return the rows of one test set."""
    column = next((table[name] for name in RIGHT if name in table), None)
    right = [] if column is None else [column[place] for place in places]
    clusters = [table["cluster"][place] for place in places] if "cluster" in table else []
    counts = [table[name] for name in SPANS] if all(name in table for name in SPANS) else []
    return KeptRows(
        tuple(map(bool, right)) if None not in right else (),
        tuple(clusters) if any(one is not None for one in clusters) else (),
        tuple(tuple(column[place] for column in counts) for place in places) if counts else (),
    )
