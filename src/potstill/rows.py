"""Rows on disk: written as Parquet in equal parts, read back as a `datasets.Dataset` without filling the memory.

The same rows always give the same bytes: parts and row groups have fixed sizes, whatever made the rows.
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
PART_GROUPS = 50
"""Row groups of a file."""
IN_MEMORY_BYTES = 32 * 2**20
"""Parquet size up to which rows are read into memory; larger ones are mapped from an Arrow file."""


def write(rows: Any, folder: Path) -> int:
    """Write `rows` to `folder/part-*.parquet` and return how many there were.

    Takes a `datasets.Dataset`, a pandas frame, an Arrow table, an Arrow record batch reader (streamed), or any iterable
    of dicts (streamed).

    Raises:
        BadInput: it is none of these, or its rows have no common schema.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    count, part = 0, 0
    writer: Any = None
    for group in _groups(_tables(rows)):
        if writer is None or part % PART_GROUPS == 0:
            if writer is not None:
                writer.close()
            file = folder / f"part-{part // PART_GROUPS:05d}.parquet"
            writer = pq.ParquetWriter(file, group.schema, compression="zstd")
        writer.write_table(group, row_group_size=GROUP_ROWS)
        count, part = count + group.num_rows, part + 1
    if writer is None:
        pq.write_table(pa.table({}), folder / "part-00000.parquet", compression="zstd")
    else:
        writer.close()
    return count


def read(folder: Path, scratch: Path, names: Iterable[str] | None = None) -> Dataset:
    """Return the rows in `folder`; large ones are mapped from an Arrow file made in `scratch`.

    `names` are the files that hold them, by a manifest; without, all Parquet files do, of which there must be one.

    Raises:
        FileNotFoundError: a file is not there.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Dataset

    listed = [path.name for path in folder.glob("*.parquet")] if names is None else names
    files = [folder / name for name in sorted(listed) if name.endswith(".parquet")]
    if not files and names is None:
        raise FileNotFoundError(errno.ENOENT, "no Parquet file, so that even no rows at all can't be read", str(folder))
    if not files:  # as earlier versions wrote no rows
        return Dataset.from_dict({})
    if sum(file.stat().st_size for file in files) <= IN_MEMORY_BYTES:
        table = pa.concat_tables(pq.read_table(file, use_threads=False) for file in files)
        # without a fingerprint of ours, datasets takes milliseconds to make up one
        return Dataset(table, fingerprint=hashlib.sha256(str(folder).encode()).hexdigest()[:32])
    scratch.mkdir(parents=True, exist_ok=True)
    mapped = scratch / f"{len(list(scratch.iterdir()))}.arrow"  # one a call: an earlier one may be in use
    with pa.OSFile(str(mapped), "wb") as sink, pa.ipc.new_stream(sink, pq.read_schema(files[0])) as writer:
        for file in files:
            for batch in pq.ParquetFile(file).iter_batches(batch_size=GROUP_ROWS):
                writer.write_batch(batch)
    return Dataset.from_file(str(mapped))


def opened(folder: Path, names: Iterable[str] | None = None) -> Dataset:
    """Return the rows in `folder`, as `read` does; large ones are mapped from a temporary file that goes at exit."""
    scratch = Path(tempfile.mkdtemp(prefix="potstill-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    return read(folder, scratch, names)


def is_rows(value: Any) -> bool:
    """Say whether a step's result is rows."""
    if isinstance(value, (str, bytes, Path, Mapping)):
        return False
    return hasattr(value, "num_rows") or hasattr(value, "columns") or isinstance(value, Iterable)


def _tables(rows: Any) -> Iterator[pa.Table]:
    """Yield the rows as Arrow tables."""
    import pyarrow as pa

    if hasattr(rows, "with_format"):
        for table in rows.with_format("arrow").iter(batch_size=GROUP_ROWS):
            yield table
        if len(rows) == 0 and rows.column_names:
            yield rows.data.table.slice(0, 0)
    elif isinstance(rows, pa.Table):
        yield rows
    elif isinstance(rows, pa.RecordBatchReader):
        yield rows.schema.empty_table()  # so that no rows at all still have columns
        yield from (pa.Table.from_batches([batch]) for batch in rows)
    elif hasattr(rows, "to_numpy") and hasattr(rows, "columns"):
        table = pa.Table.from_pandas(rows, preserve_index=False)
        large = pa.types.is_large_string  # pandas' texts are, all others' are not
        fields = [field.with_type(pa.string()) if large(field.type) else field for field in table.schema]
        yield table.cast(pa.schema(fields))
    else:
        yield from _tables_of_dicts(rows)


def _tables_of_dicts(rows: Iterable[Any]) -> Iterator[pa.Table]:
    """Yield an iterable of dicts as Arrow tables of up to `GROUP_ROWS` rows with one schema."""
    import pyarrow as pa

    schema: pa.Schema | None = None
    chunk: list[Mapping[str, Any]] = []
    number = 0

    def table() -> pa.Table:
        nonlocal schema
        names = schema.names if schema else list({name: None for row in chunk for name in row})
        strange = {name for row in chunk for name in row} - set(names)
        if strange:
            place = f"rows {number - len(chunk)} to {number - 1}"
            raise BadInput(f"{place} have columns {sorted(strange)} that earlier ones lack")
        try:
            columns = {name: [row.get(name) for row in chunk] for name in names}
            made = pa.Table.from_pydict(columns, schema=schema)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise BadInput(f"rows {number - len(chunk)} to {number - 1} don't fit one schema: {error}") from error
        schema = made.schema
        return made

    for row in rows:
        if not isinstance(row, Mapping):
            raise BadInput(f"row {number} is a {type(row).__name__}, not a dict: {row!r:.80}")
        chunk.append(row)
        number += 1
        if len(chunk) == GROUP_ROWS:
            yield table()
            chunk.clear()
    if chunk:
        yield table()


def _groups(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Cut and join tables so that all but the last have `GROUP_ROWS` rows; drops metadata that varies by maker."""
    import pyarrow as pa

    waiting: list[pa.Table] = []
    held, yielded = 0, False
    for table in tables:
        plain = table.replace_schema_metadata(None)
        if waiting and plain.schema != waiting[0].schema:
            plain = plain.cast(waiting[0].schema)
        waiting.append(plain)
        held += table.num_rows
        while held >= GROUP_ROWS:
            joined = pa.concat_tables(waiting)
            yield joined.slice(0, GROUP_ROWS).combine_chunks()
            waiting, held, yielded = [joined.slice(GROUP_ROWS)], held - GROUP_ROWS, True
    if waiting and (held or not yielded):
        yield pa.concat_tables(waiting).combine_chunks()
