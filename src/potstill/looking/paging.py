"""Pages of the rows of an artifact: filtered, searched and sorted by DuckDB on its files, however many rows there are.

Names of columns come from the files and are quoted; values are bound; no SQL is taken from outside.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from potstill.engine.store.artifacts import Artifact
from potstill.errors import BadInput
from potstill.looking.parquet_table import LONGEST, PLACE, Cell, Column, Place, Table, as_text, holding, quoted, reading
from potstill.looking.rows import files_of, shape

WHOLE = 200_000
"""Letters of a cell on the page of one row."""
OPERATORS: Mapping[str, str] = {
    "contains": "contains",
    "lacks": "does not contain",
    "is": "=",
    "not": "\u2260",
    "less": "<",
    "most": "\u2264",
    "more": ">",
    "least": "\u2265",
    "empty": "is empty",
    "filled": "is not empty",
}
"""What a filter may ask, and how it is written."""
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
"""A comma that parts thousands."""
WIDEST = 128
"""Bits of the widest whole number that DuckDB has; beyond, every number of a file is smaller."""
COMPARED = {"is": "=", "not": "<>", "less": "<", "most": "<=", "more": ">", "least": ">="}
"""Operators that compare, in SQL."""


@dataclass(frozen=True)
class Filter:
    """One condition on a column."""

    column: str
    """Name of the column."""
    operator: str
    """One of `OPERATORS`."""
    value: str = ""
    """What it is compared with, as a text."""


@dataclass(frozen=True)
class Query:
    """Which rows are wanted, and in which order."""

    filters: Sequence[Filter] = ()
    """Conditions that all hold."""
    search: str = ""
    """A text that some column holds, in any case of letters."""
    sort: str = ""
    """Column to sort by; empty keeps the order of the rows."""
    descending: bool = False
    """Whether the largest comes first; missing values always come last."""
    offset: int = 0
    """Rows before the first that is wanted."""
    limit: int = 50
    """Rows that are wanted."""


@dataclass(frozen=True)
class Row:
    """A row of a page."""

    number: int
    """Its place among all rows of the data, from 0."""
    cells: Sequence[Cell]
    """Its values, by column."""


@dataclass(frozen=True)
class RowPage:
    """Some rows of an artifact."""

    columns: Sequence[Column]
    """Its columns."""
    total: int
    """How many rows there are."""
    matching: int
    """How many of them meet the filters and the search."""
    offset: int
    """Rows before the first of these."""
    rows: Sequence[Row] = field(default_factory=list)
    """The rows."""


def page(artifact: Artifact, output: str, query: Query) -> RowPage:
    """Return a page of an artifact's rows.

    Raises:
        RequestError: it has no such output, or no rows.
        BadInput: a filter can't be used; all of them together.
        MissingExtra: DuckDB is not installed.
    """
    files = files_of(artifact, output)
    counts = _counts(files)
    with reading(files) as table:
        columns = table.columns()
        condition, values = _condition(query, columns)
        matching, offset, places = _window(table, condition, values, query, sum(counts))
        rows = table.at(columns, places, LONGEST)
    starts = [sum(counts[:place]) for place in range(len(counts))]
    numbered = [Row(starts[index] + number, cells) for (index, number), cells in rows]
    return RowPage(columns, sum(counts), matching, offset, numbered)


def _window(
    table: Table, condition: str, values: Sequence[object], query: Query, total: int
) -> tuple[int, int, list[Place]]:
    """Return how many rows match, where the page begins, and its rows; an offset beyond the end is the last page."""
    key = quoted(query.sort) if query.sort else "0"
    matching = table.keep_matches(condition, values, key) if condition else total
    offset = max(0, min(query.offset, (matching - 1) // query.limit * query.limit))
    shown = max(0, min(query.limit, matching - offset))
    # behind the middle it is quicker to count from the end
    backwards = offset > matching / 2
    skipped = matching - offset - shown if backwards else offset
    source, column = ("matches", "key") if condition else ("{rows}", key)
    order = "" if not condition and not query.sort else _order(column, query.descending, backwards=backwards)
    if not order:
        return matching, offset, table.places(source, "", shown, offset)
    places = table.places(source, order, shown, skipped)
    return matching, offset, places[::-1] if backwards else places


def whole_row(artifact: Artifact, output: str, number: int) -> tuple[Sequence[Column], Row, int]:
    """Return the columns, one row with its cells nearly whole, and how many rows there are.

    Raises:
        RequestError: it has no such output, or no rows.
        BadInput: there is no row of that number.
    """
    files = files_of(artifact, output)
    counts = _counts(files)
    total = sum(counts)
    if not 0 <= number < total:
        raise BadInput(f"there is no row {number:,}: {artifact.manifest['name']} has rows 0 to {total - 1:,}")
    with reading(files) as table:
        columns = table.columns()
        ((_, cells),) = table.at(columns, table.places("{rows}", "", 1, number), WHOLE)
    return columns, Row(number, cells), total


def _counts(files: Sequence[Path]) -> list[int]:
    """Return how many rows each file has."""
    return [shape([file])[1] for file in files]


def _order(column: str, descending: bool, *, backwards: bool) -> str:
    """Return the order of the rows; `backwards` is exactly the other way round."""
    down = "DESC" if descending != backwards else "ASC"
    missing = "NULLS FIRST" if backwards else "NULLS LAST"
    rest = ", ".join(f"{name} {'DESC' if backwards else 'ASC'}" for name in PLACE)
    return f"ORDER BY {column} {down} {missing}, {rest}"


def _condition(query: Query, columns: Sequence[Column]) -> tuple[str, list[object]]:
    """Return the condition in SQL and its values.

    Raises:
        BadInput: with everything that is wrong with the query.
    """
    by_name = {column.name: column for column in columns}
    problems: list[str] = []
    parts: list[str] = []
    values: list[object] = []
    for name in [*(one.column for one in query.filters), *([query.sort] if query.sort else [])]:
        if name not in by_name:
            near = difflib.get_close_matches(name, list(by_name), n=1)
            hint = f"did you mean {near[0]}?" if near else f"the columns are {', '.join(by_name)}"
            problems.append(f"there is no column {name!r}: {hint}")
    for one in query.filters:
        if one.column in by_name:
            try:
                text, bound = _part(one, by_name[one.column])
            except ValueError as error:
                problems.append(str(error))
            else:
                parts, values = [*parts, text], [*values, *bound]
    if problems:
        raise BadInput(*problems)
    searched = [column for column in columns if column.text] or list(columns)
    if query.search and searched:
        parts.append("(" + " OR ".join(f"regexp_matches({as_text(column)}, ?)" for column in searched) + ")")
        values += [holding(query.search)] * len(searched)
    return " AND ".join(parts), values


def _part(one: Filter, column: Column) -> tuple[str, list[object]]:
    """Return one filter in SQL and its values.

    Raises:
        ValueError: its operator is unknown, or its value is no number where one is needed.
    """
    name, text = quoted(column.name), as_text(column)
    if one.operator in ("empty", "filled"):
        return f"{'' if one.operator == 'empty' else 'NOT '}coalesce({text} = '', true)", []
    if one.operator in ("contains", "lacks"):
        return f"{'' if one.operator == 'contains' else 'NOT '}coalesce(regexp_matches({text}, ?), false)", [
            holding(one.value)
        ]
    if one.operator not in COMPARED:
        raise ValueError(f"there is no operator {one.operator!r}: use one of {', '.join(OPERATORS)}")
    sign = COMPARED[one.operator]
    if column.numeric:
        return f"{name} {sign} ?", [_number(one.value, column)]
    if column.type == "BOOLEAN":  # DuckDB writes them small, and Python and spreadsheets do not
        return f"{text} {sign} ?" if one.operator != "not" else f"{text} IS DISTINCT FROM ?", [
            one.value.strip().lower()
        ]
    return (f"{text} {sign} ?" if one.operator != "not" else f"{text} IS DISTINCT FROM ?"), [one.value]


def _number(text: str, column: Column) -> int | float:
    """Return the number in a text; whole ones as such, so that no digit is lost.

    Raises:
        ValueError: it is none.
    """
    # commas part thousands; 1,5 may be meant as one and a half, and is not taken for 15
    plain = THOUSANDS.sub("", text.strip())
    try:
        whole = int(plain)
    except ValueError:
        pass
    else:
        return whole if whole.bit_length() < WIDEST else math.copysign(math.inf, 1 if whole > 0 else -1)
    try:
        number = float(plain)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise ValueError(f"{column.name} holds numbers, and {text!r:.60} is none") from None
    return number
