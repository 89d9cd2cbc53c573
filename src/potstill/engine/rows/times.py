"""Times and durations as Arrow columns: none loses a zone, a half of its second, or a nanosecond."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from potstill.engine.rows.flaws import Flaw, Flawed

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

_ZONELESS = "a time without a zone"
_UNITS = ("s", "ms", "us", "ns")
"""What Arrow counts time in."""
_FIRST, _LAST = -62_135_596_800, 253_402_300_799
"""Seconds from 1970 to the first and to the last one of the years that Python has."""
_MOST_DAYS = 2**63 // (24 * 60 * 60 * 1_000_000) - 1
"""Days that 64 bits of microseconds hold; Arrow makes 0 of what pandas has beyond Python's own limit."""


def moment_column(cells: Sequence[Any]) -> pa.Array:
    """Return times, and dates among them as the midnights that they begin with, as a column."""
    import pyarrow as pa

    moments = _each(_moment, cells)
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


def span_column(cells: Sequence[Any]) -> pa.Array:
    """Return durations as a column, in nanoseconds where one has any."""
    import pyarrow as pa

    kinds = {getattr(cell, "dtype", None) for cell in cells if cell is not None}
    if len(kinds) == 1 and None not in kinds and _unit(next(iter(kinds))) in _UNITS:
        return inferred_column(cells)  # NumPy's, all of one unit that Arrow has
    spans = _each(_span, cells)
    return inferred_column(spans, pa.duration("ns" if any(getattr(span, "nanoseconds", 0) for span in spans) else "us"))


def beyond(table: pa.Table) -> Iterator[str]:
    """Yield which columns hold times that Python has not, so that no reader would give them back."""
    for part, column in zip(table.schema, table.columns, strict=True):
        if _holds_times(part.type) and any(map(_is_beyond, column.chunks)):
            yield (
                f"column {part.name!r} holds times outside of the years 1 to 9999, or times of day with nanoseconds: "
                "give them as numbers or texts"
            )


def _holds_times(kind: pa.DataType) -> bool:
    """Return whether a type holds dates or times anywhere in it."""
    import pyarrow as pa

    # nanoseconds in 64 bits reach from 1677 to 2262, all of them years that Python has
    is_moment = pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.unit != "ns")
    return (
        is_moment
        or kind == pa.time64("ns")
        or any(_holds_times(kind.field(number).type) for number in range(kind.num_fields))
    )


def _is_beyond(array: pa.Array) -> bool:
    """Return whether a column of a stored type holds such a time."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    if not _holds_times(kind):
        return False
    if pa.types.is_struct(kind):
        return any(map(_is_beyond, array.flatten()))
    if kind.num_fields:
        return _is_beyond(array.flatten())
    if kind == pa.time64("ns"):  # which Python's times of day cut to microseconds
        whole = array.view(pa.int64()).fill_null(0)
        return bool(pc.any(pc.not_equal(pc.multiply(pc.divide(whole, 1000), 1000), whole)).as_py())
    seconds = 86_400 if pa.types.is_date(kind) else 1
    ticks = 10 ** (3 * _UNITS.index(kind.unit)) if pa.types.is_timestamp(kind) else 1
    # as integers: `as_py` of a time beyond Python's years raises
    bounds = pc.min_max(array.view(pa.int32() if pa.types.is_date(kind) else pa.int64())).as_py()
    return bounds["min"] is not None and not all(
        _FIRST <= bounds[end] * seconds // ticks <= _LAST for end in ("min", "max")
    )


def _each(read: Callable[[Any], Any], cells: Sequence[Any]) -> list[Any]:
    """Return what `read` makes of each cell.

    Raises:
        Flawed: some can't be read.
    """
    results, flaws = [], []
    for row, cell in enumerate(cells):
        try:
            results.append(read(cell))
        except (ValueError, OverflowError) as error:
            flaws.append(Flaw(row, f"holds {cell!r:.60}, which can't be kept", str(error)))
    if flaws:
        raise Flawed(flaws)
    return results


def _unit(dtype: Any) -> str:
    """Return what a type of NumPy's counts time in, such as `ns`, or `25s`."""
    return str(dtype.str).partition("[")[2].rstrip("]")


def _span(cell: Any) -> Any:
    """Return a duration as Python's or pandas' (where it has nanoseconds).

    Raises:
        ValueError: it is longer than columns hold.
    """
    if cell is not None and not isinstance(cell, datetime.timedelta):
        import pandas as pd

        cell = _unchanged(cell, pd.Timedelta(cell))
    if cell is not None and abs(cell.days) > _MOST_DAYS:
        raise ValueError(f"columns hold no more than {_MOST_DAYS} days: give a number")
    return cell


def _unchanged(cell: np.timedelta64 | np.datetime64, converted: Any) -> Any:
    """Return what was made of NumPy's time, if it is as exact; None where it is not a time.

    Raises:
        ValueError: NumPy's is finer than a nanosecond, or of a year that Python has not.
    """
    import pandas as pd

    if pd.isna(converted):
        return None
    if not datetime.MINYEAR <= getattr(converted, "year", datetime.MINYEAR) <= datetime.MAXYEAR:
        raise ValueError("columns hold the years 1 to 9999")
    if _unit(cell.dtype)[-2:] in ("ps", "fs", "as") and converted.to_numpy() != cell:
        raise ValueError("columns hold nothing finer than nanoseconds: give a number")
    return converted


def _moment(cell: datetime.date | np.datetime64 | pd.Timestamp | None) -> Any:
    """Return a time, or a date as its midnight, as Python's or pandas' (where it has nanoseconds)."""
    if cell is None:
        return None
    if isinstance(cell, datetime.datetime):
        return _unchanged(cell.to_numpy(), cell) if hasattr(cell, "to_numpy") else cell
    if isinstance(cell, datetime.date):
        return datetime.datetime(cell.year, cell.month, cell.day)
    import pandas as pd

    return _unchanged(cell, pd.Timestamp(cell))


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
