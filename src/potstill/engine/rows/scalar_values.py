"""Values without parts (texts, numbers, times) of one family as an Arrow column, without changing any."""

from __future__ import annotations

import datetime
import decimal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from potstill.engine.rows.casting import half_character
from potstill.engine.rows.families import family
from potstill.engine.rows.flaws import Flaw, Flawed

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa


_ZONELESS = "a time without a zone"


_LARGEST = 2**63


def text_column(cells: Sequence[Any]) -> pa.Array:
    """Return texts as a column."""
    import pyarrow as pa

    try:
        return pa.array(cells, pa.string())
    except UnicodeEncodeError:
        flaws = []
        for row, cell in enumerate(cells):
            try:
                (cell or "").encode()
            except UnicodeEncodeError as error:
                flaws.append(half_character(row, error))
        raise Flawed(flaws) from None


def integer_column(cells: Sequence[Any]) -> pa.Array:
    """Return whole numbers as a column; all of NumPy's keep their width."""
    import pyarrow as pa

    kinds = {type(cell) for cell in cells if cell is not None}
    if len(kinds) > 1:  # Arrow takes no two types of NumPy's together
        cells = [None if cell is None else int(cell) for cell in cells]
    if len(kinds) > 1 or kinds == {int}:
        try:
            return pa.array(cells, pa.int64())
        except OverflowError:
            pass
    large = [row for row, cell in enumerate(cells) if cell is not None and not -_LARGEST <= int(cell) < _LARGEST]
    if large and any(type(cells[row]) is int for row in large):
        raise Flawed(
            Flaw(row, f"holds a whole number of more than 64 bits: {cells[row]!r:.60}", "make the column texts")
            for row in large
        )
    return inferred_column(cells)


def float_column(cells: Sequence[Any]) -> pa.Array:
    """Return numbers with fractions, and whole ones among them, as a column."""
    import pyarrow as pa

    whole = [(row, cell) for row, cell in enumerate(cells) if family(type(cell)) == "int"]
    changed = [(row, int(cell)) for row, cell in whole if not _is_exact(int(cell))]
    if changed:
        raise Flawed(
            Flaw(row, f"holds {cell!r:.60}, which is changed where other rows have fractions", "make the column texts")
            for row, cell in changed
        )
    if not whole and len({type(cell) for cell in cells if cell is not None}) == 1:
        return inferred_column(cells)
    return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())


def _is_exact(number: int) -> bool:
    """Return whether a whole number is the same as a binary one with a fraction."""
    try:
        return int(float(number)) == number
    except OverflowError:
        return False


def decimal_column(cells: Sequence[Any]) -> pa.Array:
    """Return decimal numbers, and whole ones among them, as a column."""
    odd = [row for row, cell in enumerate(cells) if isinstance(cell, decimal.Decimal) and not cell.is_finite()]
    if odd:
        raise Flawed(Flaw(row, f"holds {cells[row]}, which decimal columns can't", "give None") for row in odd)
    return inferred_column([None if cell is None else decimal.Decimal(cell) for cell in cells])


def moment_column(cells: Sequence[Any]) -> pa.Array:
    """Return times, and dates among them as the midnights that they begin with, as a column."""
    import pyarrow as pa

    moments = [_moment(cell) for cell in cells]
    zones = {cell.tzinfo for cell in moments if cell is not None}
    if None in zones and len(zones) > 1:
        first = next(cell for cell in moments if cell is not None)
        first_row = moments.index(first)
        other = _ZONELESS if first.tzinfo is None else "one with a zone"
        raise Flawed(
            Flaw(row, f"holds {cells[row]!s:.60}", "give all a zone, or none", other=other, other_row=first_row)
            for row, cell in enumerate(moments)
            if cell is not None and (cell.tzinfo is None) != (first.tzinfo is None)
        )
    names = {_zone_name(zone) for zone in zones if zone is not None}
    fine = any(getattr(cell, "nanosecond", 0) for cell in moments)
    zone = names.pop() if len(names) == 1 else "UTC" if names else None
    return inferred_column(moments, pa.timestamp("ns" if fine else "us", zone))


def clock_column(cells: Sequence[Any]) -> pa.Array:
    """Return times of day as a column, which has no place for their zones."""
    zoned = [row for row, cell in enumerate(cells) if cell is not None and cell.tzinfo is not None]
    if zoned:
        what = "a time of day with a zone, which columns can't"
        raise Flawed(Flaw(row, f"holds {cells[row]}, {what}", "give a text, or a date with the time") for row in zoned)
    return inferred_column(cells)


def _moment(cell: datetime.date | np.datetime64 | pd.Timestamp | None) -> Any:
    """Return a time, or a date as its midnight, as Python's or pandas' (where it has nanoseconds)."""
    if cell is None or isinstance(cell, datetime.datetime):
        return cell
    if isinstance(cell, datetime.date):
        return datetime.datetime(cell.year, cell.month, cell.day)
    import pandas as pd

    moment = pd.Timestamp(cell)
    return None if pd.isna(moment) else moment


def _zone_name(zone: datetime.tzinfo) -> str:
    """Return Arrow's name of a zone; one that it has no name for is UTC."""
    import pyarrow as pa

    try:
        return str(pa.lib.tzinfo_to_string(zone))
    except (ValueError, pa.ArrowException):
        return "UTC"


def inferred_column(cells: Sequence[Any], kind: pa.DataType | None = None) -> pa.Array:
    """Return values of one family as a column, in the type that Arrow finds for them."""
    import pyarrow as pa

    try:
        return pa.array(cells, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        flaws = []
        for row, cell in enumerate(cells):
            try:
                pa.array([cell], kind)
            except (pa.ArrowException, OverflowError, TypeError, ValueError) as own:
                flaws.append(Flaw(row, f"holds {cell!r:.60}, which can't be kept", str(own)))
        raise Flawed(flaws or [Flaw(0, "and others have no type in common", str(error))]) from error
