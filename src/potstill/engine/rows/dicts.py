"""Rows given as dicts, gathered into Arrow tables of a bounded size, each in the types of its own values."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from sys import getsizeof
from typing import TYPE_CHECKING, Any, cast

from potstill.engine.rows.arrow_values import column, is_text
from potstill.engine.rows.flaws import Flaw, Flawed, FlawLog
from potstill.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_CONTAINERS = (list, tuple, dict)


def tables(rows: Iterable[Any], log: FlawLog, most_rows: int, most_bytes: int) -> Iterator[pa.Table]:
    """Yield dicts as tables; of flawed ones only the number is right, for all rows are looked at first.

    Raises:
        BadInput: something is no dict.
    """
    number = 0
    for chunk in chunks(rows, most_rows, most_bytes):
        try:
            yield table_of(chunk)
        except Flawed as error:
            log.add_flaws(error, number)
            yield nameless(len(chunk))
        number += len(chunk)


def chunks(rows: Iterable[Any], most_rows: int, most_bytes: int) -> Iterator[list[Mapping[str, Any]]]:
    """Yield dicts in lists of a bounded size.

    Raises:
        BadInput: something is no dict.
    """
    chunk: list[Mapping[str, Any]] = []
    held = 0
    for number, row in enumerate(rows):
        if row.__class__ is not dict and not isinstance(row, Mapping):
            raise BadInput(f"row {number} is a {type(row).__name__}, not a dict: {row!r:.80}")
        chunk.append(row)
        with contextlib.suppress(RecursionError):  # which is said of the column that the value is in
            for value in row.values():
                held += getsizeof(value) if value.__class__ is str else weight(value)
        if len(chunk) == most_rows or held >= most_bytes:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def table_of(rows: list[Mapping[str, Any]]) -> pa.Table:
    """Return dicts as one table; what one lacks is missing there.

    Raises:
        Flawed: values have no place in it, or names are no texts.
    """
    import pyarrow as pa

    names = list({name: None for row in rows for name in row})
    flaws = [_name_flaw(name, rows) for name in names if not is_text(name)]
    columns = {}
    for name in names if not flaws else ():
        try:
            columns[name] = column([row.get(name) for row in rows])
        except Flawed as error:
            flaws += error.inside(name).flaws
    if flaws:
        raise Flawed(flaws)
    return pa.table(columns) if columns else nameless(len(rows))


def checked(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row, if its values have a place in rows, so that one that has none is lost alone.

    Raises:
        ValueError: they have none; says which, and why.
    """
    for name, value in row.items():
        kind = type(value)
        if kind is float or kind is bool or value is None or (kind is str and value.isascii()):
            continue  # by far the most
        try:
            column([value])
        except Flawed as error:
            flaw = error.inside(str(name)).flaws[0]
            raise ValueError(f"column {flaw.path!r} {flaw.what}: {flaw.remedy}") from error
    return dict(row)


def weight(value: object) -> int:
    """Return about how many bytes a value holds."""
    if isinstance(value, dict):
        return sum(map(weight, value.values())) + 64 * len(value)
    if isinstance(value, (list, tuple)):
        if not value or isinstance(value[0], _CONTAINERS):
            return sum(map(weight, value))
        return 24 * len(value) if isinstance(value[0], (int, float)) else sum(map(getsizeof, value))
    try:
        return int(cast("np.ndarray[Any, Any]", value).nbytes)
    except (AttributeError, TypeError, RuntimeError):  # a sparse tensor has the name, but no answer
        return getsizeof(value)


def _name_flaw(name: object, rows: list[Mapping[str, Any]]) -> Flaw:
    """Return what is wrong with a name."""
    row = next(number for number, row in enumerate(rows) if name in row)
    return Flaw(row, f"is named by a {type(name).__name__} ({name!r:.60})", "the name of a column is a text", str(name))


def nameless(count: int) -> pa.Table:
    """Return rows without any column."""
    import pyarrow as pa

    return pa.table({"nothing": pa.nulls(count)}).select([])
