"""Columns of lists: how long each is, and what is in all of them, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from potstill.engine.rows.objects import holds_json, is_json

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


def missing(count: int, kind: pa.DataType) -> pa.Array:
    """Return missing values of any type; Arrow can't make them for what holds JSON."""
    import numpy as np
    import pyarrow as pa

    if not holds_json(kind) or is_json(kind):
        return pa.nulls(count, kind)
    mask = pa.array(np.ones(count, bool))
    if pa.types.is_struct(kind):
        return pa.StructArray.from_arrays([missing(count, part.type) for part in kind], fields=list(kind), mask=mask)
    large = pa.types.is_large_list(kind)
    offsets = pa.array(np.zeros(count + 1), pa.int64() if large else pa.int32())
    array_type = pa.LargeListArray if large else pa.ListArray
    return array_type.from_arrays(offsets, missing(0, kind.value_type), type=kind, mask=mask)


def bounds(array: pa.Array) -> NDArray[np.int64]:
    """Return where each list begins among the `items`, and where the last one ends."""
    import numpy as np

    # not `offsets`: those begin anywhere in a slice, and missing lists may have items
    lengths = array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])


def items(array: pa.Array) -> pa.Array:
    """Return what is in all lists that are not missing; Arrow can't do it for JSON."""
    import numpy as np
    import pyarrow as pa

    if not holds_json(array.type):
        return array.flatten()
    starts: Any = array.offsets.to_numpy()
    ends = bounds(array)
    # no missing list has items behind it: a slice will do, and nothing is copied
    if int(starts[-1]) - int(starts[0]) == int(ends[-1]):
        return array.values.slice(int(starts[0]), int(ends[-1]))
    lengths = np.diff(ends)  # missing lists hold something
    # each item's place among the values: its place among all items, moved by what is skipped before its list
    numbers = np.arange(int(ends[-1])) + np.repeat(starts[:-1] - ends[:-1], lengths)
    return array.values.take(pa.array(numbers))
