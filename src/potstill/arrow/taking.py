"""Rows chosen by number from columns of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 2**30
"""Bytes of a column up to which Arrow takes from it: it joins all chunks first, which can hold 2 GB of text."""


def take(column: pa.ChunkedArray, numbers: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values with these numbers; a missing number gives a missing value."""
    import numpy as np
    import pyarrow as pa

    if column.nbytes <= AT_ONCE:
        return column.take(numbers)
    wanted = numbers.fill_null(-1).to_numpy()
    ends = np.cumsum([len(chunk) for chunk in column.chunks])
    chunk_of = np.where(wanted < 0, -1, np.searchsorted(ends, wanted, "right"))
    order = np.argsort(chunk_of, kind="stable")
    pieces = []
    for number in np.unique(chunk_of):
        here = wanted[chunk_of == number]
        if number < 0:
            pieces.append(pa.nulls(len(here), column.type))
        else:
            chunk = column.chunk(int(number))
            pieces.append(chunk.take(pa.array(here - (ends[number] - len(chunk)))))
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    joined = pa.concat_arrays(pieces) if pieces else pa.array([], column.type)
    return pa.chunked_array([joined.take(pa.array(places))])
