"""What is made of the values of groups: no sum wraps around, and no mean is rounded to the digits of its values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from potstill.errors import BadInput, Problem

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER = "\0number"
"""Column of the rows' numbers."""
_MEAN_DIGITS = 12
"""Digits that the mean of decimals has behind those of its values."""
_MOST_DIGITS = 76
"""Digits of Arrow's longest decimals."""


@dataclass(frozen=True)
class Groups:
    """Groups, in the order of their first rows."""

    keys: dict[str, pa.ChunkedArray]
    """What their rows agree in, by column."""
    made: dict[tuple[str, str], pa.ChunkedArray]
    """What was made of their values, by column and function."""
    numbers: pa.ListArray
    """The numbers of their rows."""


def groups_of(table: pa.Table, by: Sequence[str], asked: Sequence[tuple[str, str]]) -> Groups:
    """Return the groups of a table's rows, with what was asked: (column, function).

    Raises:
        BadInput: columns can't be grouped by, or not aggregated so.
    """
    import numpy as np
    import pyarrow as pa

    # names of their own, because Arrow calls the sum of n n_sum, as a column may be called too
    keys, values = [f"\0{place}" for place in range(len(by))], [f"\0of{place}" for place in range(len(asked))]
    columns = {key: table[name] for key, name in zip(keys, by, strict=True)}
    columns |= {own: _wide(table[name], function) for own, (name, function) in zip(values, asked, strict=True)}
    functions = [(own, function) for own, (_, function) in zip(values, asked, strict=True)]
    try:
        # threads would mix up the order
        grouped = pa.table({**columns, NUMBER: np.arange(table.num_rows)}).group_by(keys, use_threads=False)
        groups = grouped.aggregate([*functions, (NUMBER, "list"), (NUMBER, "min")]).sort_by(f"{NUMBER}_min")
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowKeyError) as error:
        named = dict.fromkeys((*by, *(name for name, _ in asked)))
        kinds = ", ".join(f"{name}: {table.schema.field(name).type}" for name in named)
        raise BadInput(Problem("", "by", f"these columns can't be grouped so ({kinds}): {error}")) from error
    return Groups(
        {name: groups[key] for key, name in zip(keys, by, strict=True)},
        {
            (name, function): _narrow(groups[f"{own}_{function}"], table[name].type, name, function)
            for own, (name, function) in zip(values, asked, strict=True)
        },
        groups[f"{NUMBER}_list"].combine_chunks(),
    )


def _wide(values: pa.ChunkedArray, function: str) -> pa.ChunkedArray:
    """Return values in a type that holds what is made of them."""
    import pyarrow as pa

    kind = values.type
    if function == "sum" and pa.types.is_integer(kind):
        return values.cast(pa.decimal128(38, 0)) if _may_wrap(values) else values
    if function in ("sum", "mean") and pa.types.is_decimal(kind):
        more = _MEAN_DIGITS if function == "mean" else 0
        more = min(more, _MOST_DIGITS - kind.precision)
        digits = kind.precision + more + len(str(len(values)))
        wide = pa.decimal128(38, kind.scale + more) if digits <= 38 else pa.decimal256(_MOST_DIGITS, kind.scale + more)
        return values.cast(wide)
    return values


def _may_wrap(values: pa.ChunkedArray) -> bool:
    """Return whether the sum of whole numbers may need more than 64 bits."""
    import pyarrow.compute as pc

    ends = pc.min_max(values).as_py()
    return bool(len(values) * max(abs(ends["min"] or 0), abs(ends["max"] or 0)) >= 2**63)


def _narrow(result: pa.ChunkedArray, kind: pa.DataType, name: str, function: str) -> pa.ChunkedArray:
    """Return sums of whole numbers as whole numbers again.

    Raises:
        BadInput: one has more than 64 bits.
    """
    import pyarrow as pa

    if function != "sum" or not pa.types.is_integer(kind) or pa.types.is_integer(result.type):
        return result
    try:
        return result.cast(pa.uint64() if pa.types.is_unsigned_integer(kind) else pa.int64())
    except pa.ArrowInvalid as error:
        text = f"a sum of column {name!r} has more than 64 bits: make it numbers with fractions, or decimals, by Map"
        raise BadInput(Problem("", "aggregate", text)) from error
