"""Parquet files as DuckDB reads them for a page: no other file is reached, and no query takes for ever.

Names of columns come from the files and are quoted; values are bound.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.errors import BadInput, MissingExtra
from potstill.looking.rows import SETTINGS, confine, shape

LONGEST = 600
"""Letters of a cell on a page; the row's own page has more."""
SECONDS = 30.0
"""How long a query may take before it is given up."""
PLACE = ("file_index", "file_row_number")
"""Where DuckDB says that a row stands: it orders rows that are otherwise equal, and names them."""
NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(.*\)")
"""How DuckDB names types of numbers."""
SPECIAL = frozenset("\\.+*?()|[]{}^$")
"""Letters that mean something in a pattern."""
KINDS = {"VARCHAR": "text", "BLOB": "bytes", "BIGINT": "whole number", "DOUBLE": "number", "BOOLEAN": "yes or no"}
"""What simple types are called."""


@dataclass(frozen=True)
class Cell:
    """A value as a text."""

    text: str | None
    """Its beginning; None where it is missing."""
    letters: int = 0
    """How long it is in full."""

    @property
    def more(self) -> int:
        """Return how many letters are left out."""
        return max(0, self.letters - len(self.text or ""))


@dataclass(frozen=True)
class Column:
    """A column of a page."""

    name: str
    """Its name."""
    type: str
    """Its type, as DuckDB names it."""

    @property
    def kind(self) -> str:
        """Return its type in a word where it is a simple one, else as DuckDB names it."""
        return KINDS.get(self.type, self.type.lower())

    @property
    def numeric(self) -> bool:
        """Return whether it holds numbers."""
        return NUMBER.fullmatch(self.type) is not None

    @property
    def text(self) -> bool:
        """Return whether it holds texts."""
        return self.type == "VARCHAR"


Place = tuple[int, int]
"""Where a row stands: number of its file, and number in that."""


class Table:
    """The rows of some Parquet files, as DuckDB reads them."""

    def __init__(self, connection: Any, files: Sequence[Path]) -> None:
        """Read `files` by `connection`."""
        self._connection = connection
        self._files = [str(file) for file in files]
        self.source = f"read_parquet([{', '.join('?' * len(files))}], file_row_number=true)"

    def run(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return what a query gives; the first `{rows}` in it stands for the rows, before all names and values."""
        # the first alone: a column may be called so, too
        text = sql.replace("{rows}", self.source, 1)
        return list(self._connection.execute(text, [*self._files, *values]).fetchall())

    def query(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        """Return what a query gives; what files it reads is among its values."""
        return list(self._connection.execute(sql, list(values)).fetchall())

    def columns(self) -> list[Column]:
        """Return the columns, without DuckDB's own."""
        described = self.run("DESCRIBE SELECT * FROM {rows}")
        return [Column(str(name), str(kind)) for name, kind, *_ in described if name not in PLACE]

    def keep_matches(self, condition: str, values: Sequence[object], key: str) -> int:
        """Note where the rows stand that meet a condition, with what they are sorted by; return how many there are.

        One reading of the columns of the condition is enough for count and order; rows are read when they are shown.

        Args:
            condition: in SQL.
            values: values of the condition.
            key: what `places` may sort by, in SQL.
        """
        place = ", ".join(PLACE)
        self.run(f"CREATE TEMP TABLE matches AS FROM {{rows}} SELECT {place}, {key} AS key WHERE {condition}", values)
        return int(self.query("SELECT count(*) FROM matches", ())[0][0])

    def places(self, source: str, order: str, limit: int, offset: int) -> list[Place]:
        """Return where rows of a source stand, in an order: of `matches`, or of `{rows}` themselves."""
        text = f"SELECT {', '.join(PLACE)} FROM {source} {order} LIMIT {limit} OFFSET {offset}"
        records = self.run(text) if "{rows}" in source else self.query(text, ())
        return [(int(index), int(number)) for index, number in records]

    def at(self, columns: Sequence[Column], places: Sequence[Place], longest: int) -> list[tuple[Place, list[Cell]]]:
        """Return the rows at some places, in their order, each cell as the beginning of its text."""
        if not places:
            return []
        numbers: dict[int, list[int]] = {}
        for index, number in places:
            numbers.setdefault(index, []).append(number)
        where = " OR ".join(
            f"(file_index = {index} AND file_row_number IN ({', '.join(map(str, own))}))"
            for index, own in numbers.items()
        )
        cells = "".join(f", left({text}, {longest}), length({text})" for text in map(as_text, columns))
        rows = {
            (int(record[0]), int(record[1])): [
                Cell(text, letters or 0) for text, letters in zip(record[2::2], record[3::2], strict=True)
            ]
            for record in self.run(f"FROM {{rows}} SELECT {', '.join(PLACE)}{cells} WHERE {where}")
        }
        return [(place, rows[place]) for place in places]


@contextmanager
def reading(files: Sequence[Path]) -> Iterator[Table]:
    """Open `files` in a DuckDB that reaches no others, and gives up after `SECONDS`.

    Raises:
        MissingExtra: DuckDB is not installed.
        BadInput: the files can't be read, or a query took too long.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtra("looking at rows by page", "duckdb", "ui") from error
    threads = str(min(4, os.cpu_count() or 1))  # rows are ordered by their place, not by who reads them first
    connection = duckdb.connect(":memory:", config={**SETTINGS, "threads": threads})
    late = threading.Timer(SECONDS, connection.interrupt)
    late.daemon = True
    try:
        _refuse_own_names(files)
        confine(connection, files)
        late.start()
        yield Table(connection, files)
    except duckdb.InterruptException as error:
        raise BadInput(f"this took more than {SECONDS:.0f} s and was given up: filter or search for less") from error
    except duckdb.Error as error:
        raise BadInput(f"the rows can't be read: {' '.join(str(error).split())[:300]}") from error
    finally:
        late.cancel()
        connection.close()


def _refuse_own_names(files: Sequence[Path]) -> None:
    """Refuse files with a column that is called what DuckDB calls the place of a row: it would name other rows.

    Raises:
        BadInput: there is one.
    """
    taken = [name for name in shape(files)[0] if name.lower() in PLACE]
    if taken:
        raise BadInput(
            f"the column {taken[0]!r} has a name by which DuckDB says where a row stands, so that no page can show it: "
            "rename it (`Rename`), or look at the rows with `potstill show`"
        )


def quoted(name: str) -> str:
    """Return a column's name as SQL takes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def holding(text: str) -> str:
    """Return the pattern of what holds a text, in any case of letters: twice as fast in DuckDB as by `lower`."""
    return "(?i)" + "".join(f"\\{letter}" if letter in SPECIAL else letter for letter in text)


def as_text(column: Column) -> str:
    """Return a cell's text in SQL: numbers and nested values as DuckDB writes them, of bytes how many there are."""
    if column.type == "BLOB":
        return f"(CAST(octet_length({quoted(column.name)}) AS VARCHAR) || ' bytes')"
    return quoted(column.name) if column.text else f"CAST({quoted(column.name)} AS VARCHAR)"
