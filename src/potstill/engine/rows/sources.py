"""What a step may return as rows, as Arrow tables: dicts, frames, tables, readers and datasets, with all they know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from potstill.engine.rows import dicts, sizes
from potstill.engine.rows.arrow_values import column
from potstill.engine.rows.flaws import Flaw, Flawed, FlawLog
from potstill.engine.rows.parts import Layout
from potstill.engine.rows.streams import stream_tables
from potstill.engine.rows.taking import take
from potstill.errors import BadInput

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from datasets import Dataset, IterableDataset
    from numpy.typing import NDArray


def tables(rows: object, log: FlawLog, layout: Layout) -> Iterator[pa.Table]:
    """Yield rows as tables of a bounded size, whose metadata is what a dataset knows of its columns.

    Raises:
        BadInput: they are no rows, or what they know can't be kept.
    """
    import pyarrow as pa

    if hasattr(rows, "with_format"):
        yield from _of_dataset(rows, log, layout)
    elif is_frame(rows):
        yield from _of_frame(rows, log, layout)
    elif isinstance(rows, pa.RecordBatchReader):
        yield from _of_reader(rows, layout)
    elif isinstance(rows, (pa.Table, pa.RecordBatch)):
        yield from bounded(rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows]), layout)
    elif hasattr(rows, "collect_schema") and hasattr(rows, "collect"):
        raise BadInput(f"a {type(rows).__name__} is no rows yet: return its .collect()")
    elif hasattr(rows, "to_arrow") and hasattr(rows, "columns"):  # polars
        yield from bounded(rows.to_arrow(), layout)
    elif hasattr(rows, "__arrow_c_stream__") and not hasattr(rows, "__array__"):
        yield from _of_reader(pa.RecordBatchReader.from_stream(rows), layout)
    elif isinstance(rows, (str, bytes)) or hasattr(rows, "__array__") or not isinstance(rows, Iterable):
        raise BadInput(f"a {type(rows).__name__} is no rows: return a frame, a table, a dataset or dicts")
    else:
        yield from dicts.tables(rows, log, layout.group_rows, layout.group_bytes)


def is_frame(rows: object) -> TypeGuard[pd.DataFrame]:
    """Return whether something is a frame of pandas."""
    return hasattr(rows, "to_numpy") and hasattr(rows, "columns") and hasattr(rows, "iloc")


def bounded(table: pa.Table, layout: Layout) -> Iterator[pa.Table]:
    """Yield a table in pieces of a bounded size, without copying it."""
    if table.nbytes <= layout.group_bytes:
        yield table
        return
    for start, end in sizes.ranges(sizes.row_bytes(table), layout.group_rows, layout.group_bytes):
        yield table.slice(start, end - start)


def dataset_ranges(rows: Dataset, layout: Layout) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of runs of the rows of a dataset whose size is bounded."""
    if rows.data.nbytes <= layout.group_bytes:
        yield from (
            (start, min(start + layout.group_rows, len(rows))) for start in range(0, len(rows), layout.group_rows)
        )
        return
    taken: NDArray[np.int64] = sizes.row_bytes(rows.data.table)
    if rows._indices is not None:
        taken = taken[rows._indices.column(0).to_numpy()]
    yield from sizes.ranges(taken, layout.group_rows, layout.group_bytes)


def dataset_tables(rows: Dataset, layout: Layout) -> Iterator[pa.Table]:
    """Yield the rows of a dataset as tables of a bounded size, with what it knows of its columns."""
    import pyarrow as pa

    table = rows.data.table
    schema = table.schema.with_metadata(rows.features.arrow_schema.metadata)
    for start, end in dataset_ranges(rows, layout):
        if rows._indices is None:
            yield table.slice(start, end - start).replace_schema_metadata(schema.metadata)
        else:
            numbers = rows._indices.column(0).slice(start, end - start)
            yield pa.table([take(column, numbers) for column in table.columns], schema=schema)


def frame_schema_problem(frame: pd.DataFrame) -> str:
    """Return what a frame knows that rows can't keep, or nothing."""
    if frame.attrs:
        return f"the frame's attrs {dict(frame.attrs)!r:.80} have no place in rows: make them a column, or clear them"
    columns = list(map(str, frame.columns))  # 1 and "1" are two columns of a frame, and one of rows
    twice = [name for name, times in Counter(columns).items() if times > 1]
    if twice:
        return f"the frame has column {twice[0]!r} more than once: rename all but one"
    clash = [name for name, times in Counter([*columns, *map(str, _index_names(frame))]).items() if times > 1]
    if clash:
        return f"the frame's index is named {clash[0]!r}, as a column is: rename one, or use reset_index(drop=True)"
    return ""


def frame_table(frame: pd.DataFrame, log: FlawLog, first_row: int = 0) -> pa.Table | None:
    """Return a frame as a table, its index among the columns unless it only counts; None if a value has no place."""
    import pyarrow as pa

    frame = _with_index(frame)
    objects = [name for name in frame.columns if frame[name].dtype == object]
    flaws: list[Flaw] = []
    columns = {}
    for name in frame.columns:
        try:
            cells = frame[name]
            columns[str(name)] = column(_cells(cells)) if name in objects else _plain_column(cells)
        except Flawed as error:
            flaws += error.inside(str(name)).flaws
        except (pa.ArrowException, TypeError, ValueError) as error:
            log.add(f"column {name!r} holds {frame[name].dtype}, which rows can't hold ({error}): use .astype(str)")
    if flaws:
        log.add_flaws(Flawed(flaws), first_row)
    return None if log.count else pa.table(columns)


def _with_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame whose index is among its columns, unless it only counts rows and has no name."""
    names = _index_names(frame)
    columns = list(frame.columns)
    return frame.reset_index(names=names)[[*columns, *names]] if names else frame


def _index_names(frame: pd.DataFrame) -> list[Any]:
    """Return what the levels of an index are called as columns; none where it only counts rows and has no name."""
    import pandas as pd

    if isinstance(frame.index, pd.RangeIndex) and frame.index.name is None:
        return []
    return [f"__index_level_{level}__" if name is None else name for level, name in enumerate(frame.index.names)]


def _cells(series: pd.Series[Any]) -> Sequence[Any]:
    """Return the values of a column of any objects, where NaN means a missing one as in all of pandas."""
    return [None if cell.__class__ is float and cell != cell else cell for cell in series]


def _plain_column(series: pd.Series[Any]) -> Any:
    """Return a column of one type; pandas' texts are large ones, all others' are not."""
    import pyarrow as pa

    dense = cast("Any", series).sparse.to_dense() if _is_sparse(series) else series
    array = pa.array(dense, from_pandas=True)
    return array.cast(pa.string()) if pa.types.is_large_string(array.type) else array


def _is_sparse(series: pd.Series[Any]) -> bool:
    """Return whether a column holds only what differs from one value, which Arrow can't read."""
    return hasattr(series.dtype, "fill_value")


def _of_frame(frame: pd.DataFrame, log: FlawLog, layout: Layout) -> Iterator[pa.Table]:
    """Yield a frame as tables."""
    problem = frame_schema_problem(frame)
    if problem:
        raise BadInput(problem)
    most = max(1, min(layout.group_rows, layout.group_bytes * len(frame) // max(1, _frame_bytes(frame))))
    for start in range(0, max(1, len(frame)), most):
        table = frame_table(frame.iloc[start : start + most], log, start)
        if table is not None:
            yield from bounded(table, layout)


def _frame_bytes(frame: pd.DataFrame) -> int:
    """Return about how many bytes a frame holds, by a few of its rows."""
    some = frame.iloc[:: max(1, len(frame) // 100)]
    return int(some.memory_usage(deep=True).sum() * len(frame) / max(1, len(some)))


def _of_reader(reader: pa.RecordBatchReader, layout: Layout) -> Iterator[pa.Table]:
    """Yield a reader's rows as tables; the first is empty, so that no rows at all still have columns."""
    import pyarrow as pa

    yield pa.Table.from_batches([], reader.schema)
    for batch in reader:
        yield from bounded(pa.Table.from_batches([batch]), layout)


def _of_dataset(rows: Dataset, log: FlawLog, layout: Layout) -> Iterator[pa.Table]:
    """Yield a dataset as tables, or what its transform makes of it."""
    import pyarrow as pa

    if isinstance(rows, dict):
        names = ", ".join(map(str, rows))
        raise BadInput(f"a {type(rows).__name__} holds several sets of rows ({names}): return one, or declare outputs")
    if not hasattr(rows, "__len__"):
        yield from _of_stream(rows, log, layout)
    elif rows.format["type"] == "custom":
        yield from dicts.tables(rows, log, layout.group_rows, layout.group_bytes)
    else:
        yield from map(_embedded, dataset_tables(rows, layout))
        if len(rows) == 0 and rows.column_names:
            yield pa.Table.from_batches([], rows.features.arrow_schema)


def _of_stream(rows: IterableDataset, log: FlawLog, layout: Layout) -> Iterator[pa.Table]:
    """Yield an `IterableDataset` as tables; with features, as these say, else in the types of the values."""
    if rows.features is None or _is_transformed(rows):
        yield from dicts.tables(rows, log, layout.group_rows, layout.group_bytes)
    else:
        yield from stream_tables(rows, log, layout)


def _is_transformed(rows: object) -> bool:
    """Return whether a stream's rows are made by a function when they are read."""
    formatting = getattr(rows, "_formatting", None)
    return getattr(formatting, "format_type", None) == "custom"


def _embedded(table: pa.Table) -> pa.Table:
    """Return a table whose images and sounds are in it, not in files that it names."""
    from potstill.engine.rows.features import special

    if not special(table.schema):
        return table
    from datasets.table import embed_table_storage

    return embed_table_storage(table)
