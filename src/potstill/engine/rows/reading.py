"""Parquet files read in batches of a bounded size, and their rows as a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.engine.rows import optional_keys

if TYPE_CHECKING:
    import pyarrow as pa

CAREFUL_ROWS = 500
"""Rows of a batch where the file does not say how large they are: its texts may be packed by a dictionary."""


WORTH_READING_AHEAD = 2**20
"""Bytes of a file from which threads that read ahead are worth their start, which takes as long as a small file."""


def batches(path: Path, most_rows: int, most_bytes: int) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file; as many at a time as its row groups say are within the limits."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=path.stat().st_size > WORTH_READING_AHEAD) as file:
        described, schema = file.metadata, file.schema_arrow
        for number in range(described.num_row_groups):  # or a batch holds rows of several groups
            group = described.row_group(number)
            most = min(most_rows, group.num_rows)
            if group.num_rows > most_rows or group.total_byte_size > most_bytes:  # not written by us
                most = min(CAREFUL_ROWS, most_bytes * group.num_rows // max(1, group.total_byte_size))
            for batch in file.iter_batches(batch_size=max(1, most), row_groups=[number], use_threads=False):
                yield optional_keys.as_objects(batch, schema)


def schema_of(path: Path) -> pa.Schema:
    """Return the schema of the rows of a file."""
    import pyarrow.parquet as pq

    return optional_keys.object_schema(pq.read_schema(path))


def gathered(batches: Iterable[pa.RecordBatch], most_bytes: int) -> tuple[list[pa.RecordBatch], bool]:
    """Return the first batches up to a number of bytes, and whether there may be more."""
    held, first = 0, []
    for batch in batches:
        first.append(batch)
        held += batch.nbytes
        if held > most_bytes:
            return first, True
    return first, False


def spilled(first: Sequence[pa.RecordBatch], rest: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path) -> None:
    """Write batches to an Arrow file that can be mapped."""
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for group in (first, rest):
            for batch in group:
                writer.write_batch(batch)
