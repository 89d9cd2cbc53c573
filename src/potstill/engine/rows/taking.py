"""Rows chosen by number from columns of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from potstill.engine.rows.lists import missing

if TYPE_CHECKING:
    import pyarrow as pa


def take(column: pa.ChunkedArray, numbers: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the values with these numbers; a missing number gives a missing value.

    Arrow's own joins all chunks first, each time, and no column of texts holds more than 2 GB.
    """
    import numpy as np
    import pyarrow as pa

    if column.num_chunks == 1:
        plain = numbers.combine_chunks() if isinstance(numbers, pa.ChunkedArray) else numbers
        return pa.chunked_array([column.chunk(0).take(plain)])
    wanted = numbers.cast(pa.int64()).fill_null(-1).to_numpy()
    ends = np.cumsum([len(chunk) for chunk in column.chunks])
    chunk_of = np.where(wanted < 0, -1, np.searchsorted(ends, wanted, "right"))
    order = np.argsort(chunk_of, kind="stable")
    pieces = []
    for number in np.unique(chunk_of):
        here = wanted[chunk_of == number]
        if number < 0:
            pieces.append(missing(len(here), column.type))
        else:
            chunk = column.chunk(int(number))
            pieces.append(chunk.take(pa.array(here - (ends[number] - len(chunk)))))
    if (np.diff(order) == 1).all():  # as a filter leaves them
        return pa.chunked_array(pieces, column.type)
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return pa.chunked_array([pa.concat_arrays(pieces).take(pa.array(places))])
