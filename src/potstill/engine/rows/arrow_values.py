"""Python values as an Arrow column, in the one type that holds them all without changing any."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import is_not
from typing import TYPE_CHECKING, Any, cast

from potstill.engine.rows import times
from potstill.engine.rows.casting import as_objects
from potstill.engine.rows.families import SAID, family
from potstill.engine.rows.flaws import Flaw, Flawed
from potstill.engine.rows.scalar_values import decimal_column, float_column, integer_column, text_column
from potstill.engine.rows.times import inferred_column

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_MIXED = (frozenset({"int", "float"}), frozenset({"int", "decimal"}), frozenset({"date", "moment"}))
ONE_TYPE = "give the column one type"
"""What to do where values don't go together."""


def column(cells: Sequence[Any]) -> pa.Array:
    """Return values as an Arrow column.

    Raises:
        Flawed: some have no place in a column, or not in one column together, or hold themselves.
    """
    try:
        return _typed(cells)
    except RecursionError:
        raise Flawed(_too_deep(cells)) from None


def _too_deep(cells: Sequence[Any]) -> Iterator[Flaw]:
    """Yield which values are nested too deep to be looked at."""
    for row, cell in enumerate(cells):
        try:
            _typed([cell])
        except RecursionError:
            yield Flaw(row, "is nested too deep, or holds itself", "give it as a text")
        except Flawed:
            continue


def _typed(cells: Sequence[Any]) -> pa.Array:
    """Return values as an Arrow column.

    Raises:
        Flawed: some have no place in a column, or not in one column together.
    """
    import pyarrow as pa

    kinds = set(map(type, cells))
    if kinds == {str}:  # by far the most
        return text_column(cells)
    if any(hasattr(kind, "ndim") and family(kind) == "list" for kind in kinds):
        numbers = [cell.tolist() if family(type(cell)) == "list" and _is_number(cell) else cell for cell in cells]
        if any(map(is_not, numbers, cells)):  # some had no dimension
            return _typed(numbers)
    families = {family(kind) for kind in kinds} - {"null"}
    if "" in families:
        raise Flawed(_foreign(row, cell) for row, cell in enumerate(cells) if not family(type(cell)))
    if not families:
        return pa.nulls(len(cells))
    if len(families) > 1 and families not in _MIXED:
        raise Flawed(_clashes(cells))
    if any(kind.__module__ != "builtins" and family(kind) == "null" for kind in kinds):
        cells = [None if family(type(cell)) == "null" else cell for cell in cells]
    makers: Mapping[str, Callable[[Sequence[Any]], pa.Array]] = {
        "text": text_column,
        "list": _lists,
        "object": _objects,
        "moment": times.moment_column,
        "clock": times.clock_column,
        "span": times.span_column,
        "decimal": decimal_column,
        "float": float_column,
        "int": integer_column,
    }
    for name, make in makers.items():
        if name in families:
            return make(cells)
    return inferred_column(cells)


def _foreign(row: int, cell: object) -> Flaw:
    """Return what is wrong with a value that has no place in rows."""
    remedies = {
        "set": "a set has no order, give sorted(...)",
        "frozenset": "a set has no order, give sorted(...)",
        "UUID": "give str(...)",
        "Period": "give its start, or str(...)",
        "range": "give list(...)",
    }
    remedy = remedies.get(type(cell).__name__, "give texts, numbers, lists, dicts, dates or None")
    return Flaw(row, f"holds a {type(cell).__name__}, which has no place in a row: {cell!r:.60}", remedy)


def _clashes(cells: Sequence[Any]) -> list[Flaw]:
    """Return where values of another family than that of the first begin, and go on."""
    first = next(row for row, cell in enumerate(cells) if family(type(cell)) != "null")
    expected = family(type(cells[first]))
    together = next((group for group in _MIXED if expected in group and _all_in(cells, group)), {expected})
    return [
        Flaw(row, f"holds {SAID[name]} ({cell!r:.60})", ONE_TYPE, other=SAID[expected], other_row=first)
        for row, cell in enumerate(cells)
        if (name := family(type(cell))) != "null" and name not in together
    ]


def _all_in(cells: Sequence[Any], group: frozenset[str]) -> bool:
    """Return whether no other family than those of a group is there."""
    return {family(kind) for kind in set(map(type, cells))} <= group | {"null"}


def _lists(cells: Sequence[Any]) -> pa.Array:
    """Return lists, tuples, arrays and tensors as a column."""
    import numpy as np
    import pyarrow as pa

    lists = [
        None if cell is None else cell if isinstance(cell, (list, tuple)) else _items(row, cell)
        for row, cell in enumerate(cells)
    ]
    lengths = np.fromiter((0 if cell is None else len(cell) for cell in lists), np.int64, len(lists))
    bounds = np.concatenate([[0], np.cumsum(lengths)])
    arrays = [cell for cell in lists if cell is not None and len(cell)]
    try:
        if arrays and all(isinstance(cell, np.ndarray) and cell.ndim == 1 for cell in arrays) and _are_alike(arrays):
            items = pa.array(np.concatenate(arrays))
        else:
            items = _typed(list(itertools.chain.from_iterable(cell for cell in lists if cell is not None)))
    except Flawed as error:
        raise error.inside("[]", lambda row: int(np.searchsorted(bounds, row, "right")) - 1) from error
    mask = pa.array([cell is None for cell in lists]) if any(cell is None for cell in lists) else None
    return pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), items, mask=mask)


def _is_number(cell: object) -> bool:
    """Return whether an array or a tensor has no dimension."""
    return getattr(cell, "ndim", 1) == 0 and hasattr(cell, "tolist")


def _are_alike(arrays: Sequence[Any]) -> bool:
    """Return whether arrays can be put together without a change of their numbers."""
    return len({array.dtype for array in arrays}) == 1 or all(array.dtype.kind == "f" for array in arrays)


def _items(row: int, cell: object) -> Any:
    """Return the items of an array or a tensor: numbers as an array, what is nested as a list.

    Raises:
        Flawed: it gives none, as a sparse tensor.
    """
    import numpy as np

    if isinstance(cell, np.ma.MaskedArray):  # as an array it would show what is masked
        return cell.tolist()
    try:
        array = np.asarray(cell.detach().cpu() if hasattr(cell, "detach") else cell)
    except (TypeError, ValueError, RuntimeError) as error:
        try:
            return cast("np.ndarray[Any, Any]", cell).tolist()  # NumPy has no type for it, as for bfloat16
        except (AttributeError, TypeError, ValueError, RuntimeError):
            what = f"holds a {type(cell).__name__} that can't be read as an array"
            raise Flawed([Flaw(row, what, str(error).strip().partition("\n")[0])]) from error
    if array.ndim == 1 and array.dtype.kind in "biuf":
        return array
    return array.tolist() if array.dtype.kind in "OUS" else list(array)


def _objects(cells: Sequence[Any]) -> pa.Array:
    """Return objects as a column: of fields where all have the same keys, else with keys of their own."""
    names = _common_names(cells)
    if not names:
        return as_objects(list(cells))
    try:
        return _fields(cells, names)
    except Flawed as error:
        try:
            return as_objects(list(cells))
        except Flawed:
            raise error from None


def _common_names(cells: Sequence[Any]) -> tuple[str, ...]:
    """Return the keys of all objects, where they are the same texts in all."""
    orders = {tuple(cell) for cell in cells if cell is not None}
    names = next(iter(orders))
    if len(orders) > 1 and len({frozenset(order) for order in orders}) > 1:
        return ()
    first = next(tuple(cell) for cell in cells if cell is not None) if len(orders) > 1 else names
    return first if all(map(is_text, first)) else ()


def is_text(name: object) -> bool:
    """Return whether something is a text that can be written, so that it can name a column."""
    # half a surrogate pair is a str that UTF-8 can't write
    return isinstance(name, str) and (name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name))


def _fields(cells: Sequence[Any], names: tuple[str, ...]) -> pa.Array:
    """Return objects of the same keys as a column of fields."""
    import pyarrow as pa

    parts, flaws = [], list[Flaw]()
    for name in names:
        try:
            parts.append(_typed([None if cell is None else cell[name] for cell in cells]))
        except Flawed as error:
            flaws += error.inside(f".{name}").flaws
    if flaws:
        raise Flawed(flaws)
    mask = pa.array([cell is None for cell in cells]) if any(cell is None for cell in cells) else None
    return pa.StructArray.from_arrays(parts, list(names), mask=mask)
