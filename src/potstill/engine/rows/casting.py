"""Arrow columns in another type: no value changes on the way, or those that would are named."""

from __future__ import annotations

from functools import partial
from operator import add
from typing import TYPE_CHECKING, Any

from potstill.engine.rows import lists
from potstill.engine.rows.flaws import Flaw, Flawed
from potstill.engine.rows.objects import encoded, holds_json, is_json, loads, of_texts

if TYPE_CHECKING:
    import pyarrow as pa


def recast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return the values of `array` in the type `kind`, one that `types.unified` or `types.stored` gave.

    Raises:
        Flawed: values would change.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if array.type.equals(kind):
        return array
    if pa.types.is_dictionary(array.type):
        return recast(array.dictionary_decode(), kind)
    if pa.types.is_run_end_encoded(array.type):
        return recast(pc.run_end_decode(array), kind)
    if pa.types.is_null(array.type):
        return lists.missing(len(array), kind)
    if is_json(kind):
        return as_objects(values(array))
    if isinstance(array.type, pa.BaseExtensionType):
        return recast(array.storage, kind)
    if pa.types.is_struct(kind):
        return _struct(array, kind)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _list(array, kind)
    if pa.types.is_fixed_size_list(kind):
        return pa.array(array.to_pylist(), kind)
    return _plain(array, kind)


def recast_table(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with all columns of `schema`, in its order and types; a column that it lacks is missing there.

    Raises:
        Flawed: values would change; the path of each flaw begins with its column.
    """
    import pyarrow as pa

    columns, flaws = [], list[Flaw]()
    present = set(table.column_names)  # which makes a list of them at each look
    for part in schema:
        if part.name not in present:
            columns.append(pa.chunked_array([lists.missing(table.num_rows, part.type)]))
            continue
        chunks, start = [], 0
        for chunk in table[part.name].chunks:
            try:
                chunks.append(recast(chunk, part.type))
            except Flawed as error:
                flaws += error.inside(part.name, partial(add, start)).flaws
            start += len(chunk)
        columns.append(pa.chunked_array(chunks, part.type) if not flaws else None)
    if flaws:
        raise Flawed(flaws)
    return pa.table(columns, schema=schema) if columns else table.select([])  # which still counts its rows


def values(array: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return the values of a column as Python's, objects with keys of their own as such."""
    import pyarrow as pa

    if isinstance(array, pa.ChunkedArray):
        return [value for chunk in array.chunks for value in values(chunk)]
    if not holds_json(array.type):
        return list(array.to_pylist())
    if is_json(array.type):
        return [None if text is None else loads(text) for text in array.storage.to_pylist()]
    missing = array.is_null().to_pylist()
    if pa.types.is_struct(array.type):
        parts = {part.name: values(array.field(part.name)) for part in array.type}
        rows = [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
        return [None if gone else row for gone, row in zip(missing, rows, strict=True)]
    inner, ends = values(lists.items(array)), lists.bounds(array).tolist()
    return [None if gone else inner[ends[row] : ends[row + 1]] for row, gone in enumerate(missing)]


def records(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows of a table as dicts, objects with keys of their own as such."""
    if not any(holds_json(part.type) for part in table.schema):
        return list(table.to_pylist())
    columns = [values(column) for column in table.columns]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def as_objects(cells: list[Any]) -> pa.Array:
    """Return objects with keys of their own as a column.

    Raises:
        Flawed: some hold what has no place in JSON.
    """
    import pyarrow as pa

    texts: list[str | None] = []
    flaws = []
    for row, cell in enumerate(cells):
        try:
            text = encoded(cell)
            texts.append(text)
            if text is not None and not text.isascii():
                text.encode()
        except TypeError as error:
            remedy = "make it a text or a number, or give all objects of the column the same keys"
            flaws.append(Flaw(row, f"holds an object with keys of its own, in which {error}", remedy))
        except RecursionError:
            flaws.append(Flaw(row, "is nested too deep", "give it as a text"))
        except UnicodeEncodeError as error:
            flaws.append(half_character(row, error))
    if flaws:
        raise Flawed(flaws)
    return of_texts(pa.array(texts, pa.string()))


def half_character(row: int, error: UnicodeEncodeError) -> Flaw:
    """Return what is wrong with a text that holds half an emoji."""
    half = ord(error.object[error.start])
    what = f"holds half a character (U+{half:04X} at {error.start + 1}), which can't be written"
    return Flaw(row, what, "cut texts between characters, or use text.encode('utf-8', 'replace').decode()")


def _struct(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return objects with the fields of `kind`."""
    import pyarrow as pa

    parts, flaws = [], list[Flaw]()
    for part in kind:
        try:
            parts.append(recast(array.field(part.name), part.type))
        except Flawed as error:
            flaws += error.inside(f".{part.name}").flaws
    if flaws:
        raise Flawed(flaws)
    # `field` leaves out which objects are missing as a whole: the mask brings it back
    return pa.StructArray.from_arrays(parts, fields=list(kind), mask=array.is_null())


def _list(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return lists of the items of `kind`."""
    import numpy as np
    import pyarrow as pa

    bounds = lists.bounds(array)
    try:
        items = recast(lists.items(array), kind.value_type)
    except Flawed as error:
        raise error.inside("[]", lambda row: int(np.searchsorted(bounds, row, "right")) - 1) from error
    large = pa.types.is_large_list(kind)
    offsets = pa.array(bounds, pa.int64() if large else pa.int32())
    array_type = pa.LargeListArray if large else pa.ListArray
    return array_type.from_arrays(offsets, items, type=kind, mask=array.is_null())


def _plain(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return values of no nested type."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_integer(array.type) and pa.types.is_floating(kind):
        return _floats(array, kind)
    try:
        return pc.cast(array, kind)
    except pa.ArrowException as error:
        if len(array) == 1:
            what = f"holds {array[0].as_py()!r:.60}, which is changed as {kind}, the type that other rows need"
            raise Flawed([Flaw(0, what, str(error))]) from error
    # Arrow does not say which value failed: halves are tried until each is found
    half, flaws = len(array) // 2, list[Flaw]()
    for start, part in ((0, array.slice(0, half)), (half, array.slice(half))):
        try:
            _plain(part, kind)
        except Flawed as error:
            flaws += error.inside("", partial(add, start)).flaws
    raise Flawed(flaws)


def _floats(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return whole numbers as binary ones."""
    import pyarrow.compute as pc

    # a safe cast refuses every integer beyond 2**53, also those that are exact as a float
    floats = pc.cast(array, kind, safe=False)
    # there and back: exact where the same integer comes back
    same = pc.equal(pc.cast(floats, array.type, safe=False), array).fill_null(True)
    if pc.all(same).as_py() is False:
        remedy = "make all of the column texts or decimals"
        raise Flawed(
            Flaw(int(row), f"holds {array[int(row)].as_py()}, which is changed where other rows have fractions", remedy)
            for row in pc.indices_nonzero(pc.invert(same)).to_pylist()
        )
    return floats
