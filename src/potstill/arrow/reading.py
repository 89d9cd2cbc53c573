"""Parquet files read in batches of a bounded size, and their rows as a data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

CAREFUL_ROWS = 500
"""Rows of a batch where the file does not say how large they are: its texts may be packed by a dictionary."""


def batches(path: Path, most_rows: int, most_bytes: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file; as many at a time as its row groups say are within the limits."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        described = file.metadata
        groups = [described.row_group(number) for number in range(described.num_row_groups)]
        heaviest = max((group.total_byte_size / max(1, group.num_rows) for group in groups), default=0)
        longest = max((group.num_rows for group in groups), default=0)
        most = min(most_rows, int(most_bytes / max(1.0, heaviest)))
        if longest > most_rows or heaviest * longest > most_bytes:
            most = min(most, CAREFUL_ROWS)  # not written by us
        yield from file.iter_batches(batch_size=max(1, most), use_threads=False)


def gathered(found: Iterable[pa.RecordBatch], most_bytes: int) -> tuple[list[pa.RecordBatch], bool]:
    """Return the first batches up to a number of bytes, and whether there may be more."""
    held, kept = 0, []
    for batch in found:
        kept.append(batch)
        held += batch.nbytes
        if held > most_bytes:
            return kept, True
    return kept, False


def spilled(kept: Sequence[pa.RecordBatch], rest: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path) -> None:
    """Write batches to an Arrow file that can be mapped."""
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for group in (kept, rest):
            for batch in group:
                writer.write_batch(batch)
