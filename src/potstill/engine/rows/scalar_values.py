"""Texts and numbers of one family as an Arrow column, without changing any."""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from potstill.engine.rows.casting import half_character
from potstill.engine.rows.families import family
from potstill.engine.rows.flaws import Flaw, Flawed
from potstill.engine.rows.times import inferred_column

if TYPE_CHECKING:
    import pyarrow as pa

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
    # NumPy's uint64 may be larger and has a column type; a Python int has only int64
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
