"""Read a column of class probabilities, given by class name or as a list.

Shapes: N rows, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

OFF = 0.01
"""How far from 1 the probabilities of a row may add up: half floats and rounded texts stay below it."""
MOST_NAMED = 3
"""Rows that a message names; more are only counted."""


@dataclass(frozen=True)
class ClassShares:
    """The probabilities of some rows."""

    names: tuple[str, ...]
    """Names of the classes; empty where the rows hold lists."""
    values: NDArray[np.float64]
    """[N, C], each row at least 0 and about 1 together."""


def class_shares(table: pa.Table, column: str, first: int = 0) -> ClassShares:
    """Return the probabilities in a column of `table`, whose rows are numbered from `first`.

    Raises:
        BadInput: rows have none, or numbers that are no probabilities; all problems of a kind together.
    """
    import numpy as np
    import pyarrow as pa

    cells = table[column].combine_chunks()
    named = _names(table, first)
    _complain(cells.is_null().to_numpy(zero_copy_only=False), named, f"no {column}: let a classifier label them")
    if pa.types.is_struct(cells.type):
        names = tuple(field.name for field in cells.type)
        # a class that only other rows name has probability 0 here
        filled = [part.fill_null(0).to_numpy(zero_copy_only=False) for part in cells.flatten()]
        values = np.stack(filled, axis=1).astype(np.float64)
    else:
        names, values = (), _matrix(cells, column, named)
    # negated, so that NaN, which compares as false, counts as wrong
    wrong = ~((values.min(axis=1, initial=0) >= 0) & (abs(values.sum(axis=1) - 1) <= OFF))
    _complain(
        wrong, named, f"{column} that are below 0 or don't add up to 1: give those of one labeller for all classes"
    )
    return ClassShares(names, values)


def _matrix(cells: pa.Array, column: str, named: Callable[[int], str]) -> NDArray[np.float64]:
    """Return lists as an array [N, C].

    Raises:
        BadInput: they are no lists of numbers, or of different lengths.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = (
        pa.types.is_list(cells.type) or pa.types.is_large_list(cells.type) or pa.types.is_fixed_size_list(cells.type)
    )
    if not lists or not (pa.types.is_floating(cells.type.value_type) or pa.types.is_integer(cells.type.value_type)):
        raise BadInput(f"{column} holds {cells.type}: give a list of probabilities, or a probability by class name")
    lengths = pc.list_value_length(cells).to_numpy(zero_copy_only=False)
    _complain(lengths != lengths[:1], named, f"another number of {column} than the first: all rows have all classes")
    flat = cells.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, np.float64).reshape(len(cells), int(lengths[0]) if len(cells) else 0)


def _names(table: pa.Table, first: int) -> Callable[[int], str]:
    """Return a function that names a row of `table` by its number there."""
    ids = table["id"] if "id" in table.column_names else None
    return lambda number: str(first + number) if ids is None else str(ids[number].as_py())


def _complain(wrong: NDArray[Any], named: Callable[[int], str], what: str) -> None:
    """Raise if any row is `wrong`.

    Raises:
        BadInput: naming the first of them.
    """
    places = wrong.nonzero()[0]
    if len(places):
        shown = ", ".join(named(int(place)) for place in places[:MOST_NAMED])
        more = f" and {len(places) - MOST_NAMED} more" if len(places) > MOST_NAMED else ""
        raise BadInput(f"row {shown}{more}: {what}")
