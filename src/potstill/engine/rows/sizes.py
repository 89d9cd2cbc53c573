"""How many bytes the rows of a table take, and where to cut it, so that memory is bounded for any rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from potstill.engine.rows import lists

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray


def row_bytes(table: pa.Table) -> NDArray[np.int64]:
    """Return what the values of each row take; the same for equal values, however they lie in memory."""
    import numpy as np

    total = np.zeros(table.num_rows, np.int64)
    for column in table.columns:
        start = 0
        for chunk in column.chunks:
            total[start : start + len(chunk)] += _cell_bytes(chunk)
            start += len(chunk)
    return total


def first_rows(table: pa.Table, most_rows: int, most_bytes: int) -> int:
    """Return how many rows from the first on are within both limits; one at least."""
    import numpy as np

    if table.nbytes <= most_bytes:
        return min(int(table.num_rows), most_rows)
    total = np.cumsum(row_bytes(table.slice(0, most_rows)))
    return max(1, int(np.searchsorted(total, most_bytes, "right")))


def ranges(sizes: NDArray[np.int64], most_rows: int, most_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of runs of rows within both limits; a run has one row at least."""
    import numpy as np

    total, start = np.cumsum(sizes), 0
    while start < len(sizes):
        before = int(total[start - 1]) if start else 0
        end = min(int(np.searchsorted(total, before + most_bytes, "right")), start + most_rows, len(sizes))
        end = max(end, start + 1)
        yield start, end
        start = end


def _cell_bytes(array: pa.Array) -> Any:
    """Return what each value takes: an array, or one number for all."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind, is_ = array.type, pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return _cell_bytes(array.storage)
    if is_.is_dictionary(kind):
        return _cell_bytes(array.dictionary_decode())
    if is_.is_struct(kind):
        return sum((_cell_bytes(array.field(number)) for number in range(kind.num_fields)), np.int64(0))
    if is_.is_fixed_size_list(kind):
        return kind.list_size * (kind.value_type.bit_width // 8 if is_.is_primitive(kind.value_type) else 64)
    if is_.is_list(kind) or is_.is_large_list(kind):
        bounds, items = lists.bounds(array), lists.items(array)
        taken = np.broadcast_to(_cell_bytes(items), len(items))
        total = np.concatenate([[0], np.cumsum(taken, dtype=np.int64)])
        return total[bounds[1:]] - total[bounds[:-1]]
    if is_.is_string(kind) or is_.is_large_string(kind) or is_.is_binary(kind) or is_.is_large_binary(kind):
        return pc.binary_length(array).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return kind.bit_width // 8 if is_.is_primitive(kind) else 16
