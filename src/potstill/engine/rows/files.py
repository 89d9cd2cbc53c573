"""Rows on disk: written as Parquet in equal parts, read back as a `datasets.Dataset` without filling the memory.

The same rows always give the same bytes: parts and row groups have fixed sizes, however the rows were made.
"""

from __future__ import annotations

import atexit
import errno
import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

GROUP_ROWS = 10_000
"""Rows of a row group, which is what is held in memory."""
GROUP_BYTES = 32 * 2**20
"""Bytes of a row group that has more than one row, for rows that are long."""
PART_GROUPS = 50
"""Row groups of a file."""
IN_MEMORY_BYTES = 32 * 2**20
"""Parquet size up to which rows are read into memory; larger ones are mapped from an Arrow file."""
IN_MEMORY_UNPACKED = 128 * 2**20
"""What they may take in memory then: texts that repeat themselves are packed a thousandfold."""


def write(rows: object, folder: Path, columns: Iterable[str] = ()) -> int:
    """Write `rows` to `folder/part-*.parquet` and return how many there were.

    Takes a `datasets.Dataset` (also a streamed one), a frame of pandas or polars, an Arrow table, an Arrow record batch
    reader (streamed), or any iterable of dicts (streamed). All of them come back as they were, or nothing is written:
    a column's types are found over all rows, and what has no place in them is named. Rows without a column of
    `columns` have it nonetheless, with missing values, if there are none at all.

    Raises:
        BadInput: with everything that is wrong with the rows.
    """
    from potstill.engine.rows.features import FeatureLog
    from potstill.engine.rows.flaws import FlawLog
    from potstill.engine.rows.parts import Layout, Parts
    from potstill.engine.rows.sources import tables

    folder.mkdir(parents=True, exist_ok=True)
    log, layout = FlawLog(), Layout(GROUP_ROWS, GROUP_BYTES, PART_GROUPS)
    parts = Parts(folder, layout, log, FeatureLog(log))
    try:
        for table in tables(rows, log, layout):
            parts.add(table)
        parts.close(columns)
    finally:
        parts.clear()
    if log.count:
        raise BadInput(*log.messages())
    return parts.rows


def read(folder: Path, scratch: Path, names: Iterable[str] | None = None) -> Dataset:
    """Return the rows in `folder`; large ones are mapped from an Arrow file made in `scratch`.

    `names` are the files that hold them, by a manifest; without, all Parquet files do, of which there must be one.

    Raises:
        FileNotFoundError: a file is not there.
    """
    import pyarrow as pa
    from datasets import Dataset

    from potstill.engine.rows import objects, reading

    objects.make_exact()
    listed = [path.name for path in folder.glob("*.parquet")] if names is None else names
    files = [folder / name for name in sorted(listed) if name.endswith(".parquet")]
    if not files and names is None:
        raise FileNotFoundError(errno.ENOENT, "no Parquet file, so that even no rows at all can't be read", str(folder))
    if not files:  # as earlier versions wrote no rows
        return Dataset.from_dict({})
    batches = (batch for file in files for batch in reading.batches(file, GROUP_ROWS, GROUP_BYTES))
    small = sum(file.stat().st_size for file in files) <= IN_MEMORY_BYTES
    held, more = reading.gathered(batches, IN_MEMORY_UNPACKED) if small else ([], True)
    schema = held[0].schema if held else reading.schema_of(files[0])
    if not more:
        # without a fingerprint of ours, datasets takes milliseconds to make up one
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:32]
        return Dataset(pa.Table.from_batches(held, schema), fingerprint=name)
    scratch.mkdir(parents=True, exist_ok=True)
    mapped = scratch / f"{len(list(scratch.iterdir()))}.arrow"  # one a call: an earlier one may be in use
    reading.spilled(held, batches, schema, mapped)
    return Dataset.from_file(str(mapped))


def opened(folder: Path, names: Iterable[str] | None = None) -> Dataset:
    """Return the rows in `folder`, as `read` does; large ones are mapped from a temporary file that goes at exit."""
    scratch = Path(tempfile.mkdtemp(prefix="potstill-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    return read(folder, scratch, names)


def first_rows(files: Iterable[Path], count: int) -> list[dict[str, Any]]:
    """Return the first `count` rows of Parquet files; no more is read than that takes."""
    from pyarrow import parquet

    rows: list[dict[str, Any]] = []
    for file in files:
        with parquet.ParquetFile(file) as opened:
            for batch in opened.iter_batches(batch_size=max(1, min(count, 1_000))):
                rows += batch.slice(0, count - len(rows)).to_pylist()
                if len(rows) >= count:
                    return rows
    return rows


def ranges(rows: Dataset, most_rows: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of runs of rows, by `GROUP_ROWS` and `GROUP_BYTES`."""
    from potstill.engine.rows.parts import Layout
    from potstill.engine.rows.sources import dataset_ranges

    return dataset_ranges(rows, Layout(most_rows or GROUP_ROWS, GROUP_BYTES, PART_GROUPS))


def tables(rows: Dataset, most_rows: int | None = None) -> Iterator[pa.Table]:
    """Yield rows as Arrow tables of a bounded size."""
    from potstill.engine.rows.parts import Layout
    from potstill.engine.rows.sources import dataset_tables

    return dataset_tables(rows, Layout(most_rows or GROUP_ROWS, GROUP_BYTES, PART_GROUPS))


def beside(rows: Iterable[Dataset]) -> Iterator[tuple[pa.Table, ...]]:
    """Yield equally many rows of each at a time, in a bounded size."""
    rows = list(rows)
    ends = sorted({end for part in rows for _, end in ranges(part)})
    parts = [part.with_format("arrow") for part in rows]
    for start, end in zip([0, *ends], ends, strict=False):
        yield tuple(part[start:end] for part in parts)


def is_rows(value: object) -> bool:
    """Return whether a step's result is rows."""
    if isinstance(value, (str, bytes, Path, Mapping)):
        return False
    return hasattr(value, "num_rows") or hasattr(value, "columns") or isinstance(value, Iterable)
