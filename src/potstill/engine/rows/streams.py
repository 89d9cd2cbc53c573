"""Streams of rows (`datasets.IterableDataset`) as Arrow tables: in the types of their features, and no value changed.

What iterating gives is written, in the types that the features say: only a number with a fraction is rounded, to as
many bits as they say. `datasets` would make 0 of 0.5 in lists of whole numbers, and cut times to whole seconds. (Of
single numbers and objects it does so itself when it is iterated over, and nobody else can see it.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from potstill.engine.rows import dicts
from potstill.engine.rows.arrow_values import column
from potstill.engine.rows.casting import recast
from potstill.engine.rows.flaws import Flaw, Flawed, FlawLog
from potstill.engine.rows.parts import Layout
from potstill.engine.rows.types import stored

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Features, IterableDataset

Row = Mapping[str, Any]


def stream_tables(rows: IterableDataset, log: FlawLog, layout: Layout) -> Iterator[pa.Table]:
    """Yield a stream that has features as tables; the first is empty, so that no rows at all still have columns."""
    import pyarrow as pa

    features = rows.features
    assert features is not None, "the caller looked"
    yield pa.Table.from_batches([], features.arrow_schema)
    number = 0
    for chunk in dicts.chunks(rows, layout.group_rows, layout.group_bytes):
        try:
            yield _table(chunk, features)
        except Flawed as error:
            log.add_flaws(error, number)
            yield dicts.nameless(len(chunk))
        number += len(chunk)


def _table(rows: Sequence[Row], features: Features) -> pa.Table:
    """Return rows as a table with the columns of the features, and those that these don't know.

    Raises:
        Flawed: values are not of the features' types.
    """
    import pyarrow as pa

    schema = features.arrow_schema
    columns: dict[str, Any] = {}
    flaws: list[Flaw] = []
    for name in dict.fromkeys((*features, *(name for row in rows for name in row))):
        cells = [row.get(name) for row in rows]
        try:
            if name not in features:
                columns[name] = column(cells)
            elif _is_plain(features[name]):
                columns[name] = _plain(cells, features[name], schema.field(name).type)
            else:
                columns[name] = _encoded(name, cells, features)
        except Flawed as error:
            flaws += error.inside(str(name)).flaws
    if flaws:
        raise Flawed(flaws)
    return pa.table(columns).replace_schema_metadata(schema.metadata)


def _is_plain(feature: Any) -> bool:
    """Return whether a feature only says what type values have, and does not make something else of them."""
    from datasets import LargeList, List, Value

    if isinstance(feature, dict):
        return all(map(_is_plain, feature.values()))
    if isinstance(feature, (List, LargeList)):
        return getattr(feature, "length", -1) == -1 and _is_plain(feature.feature)
    return isinstance(feature, Value)


def _plain(cells: Sequence[Any], feature: Any, kind: pa.DataType) -> pa.Array:
    """Return values as a column of the type that a feature says.

    Raises:
        Flawed: they are of another.
    """
    filled, flaws = [], []
    for row, cell in enumerate(cells):
        try:
            filled.append(_filled(cell, feature))
        except ValueError as error:
            flaws.append(Flaw(row, str(error), "add it to them, or leave it out"))
    if flaws:
        raise Flawed(flaws)
    wanted = stored(kind)
    # first to 64 bits, by a cast that refuses any change; then rounded to the fewer bits that the feature says
    exact = recast(column(filled), _with_double(wanted))
    return exact if exact.type.equals(wanted) else exact.cast(wanted)


def _filled(value: Any, feature: Any) -> Any:
    """Return a value whose objects have all keys of a feature.

    Raises:
        ValueError: they have one more.
    """
    if isinstance(feature, dict) and isinstance(value, Mapping):
        unknown = [key for key in value if key not in feature]
        if unknown:
            raise ValueError(f"has a key {unknown[0]!r:.60} that the stream's features don't have")
        return {key: _filled(value.get(key), inner) for key, inner in feature.items()}
    inner = getattr(feature, "feature", None)
    if isinstance(value, (list, tuple)) and (isinstance(inner, dict) or hasattr(inner, "feature")):
        return [_filled(item, inner) for item in value]
    return value


def _with_double(kind: pa.DataType) -> pa.DataType:
    """Return a stored type with all numbers with fractions in 64 bits, in which Python has them."""
    import pyarrow as pa

    if pa.types.is_floating(kind):
        return pa.float64()
    if pa.types.is_struct(kind):
        return pa.struct([part.with_type(_with_double(part.type)) for part in kind])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        part = kind.value_field.with_type(_with_double(kind.value_type))
        return pa.list_(part) if pa.types.is_list(kind) else pa.large_list(part)
    return kind


def _encoded(name: str, cells: Sequence[Any], features: Features) -> Any:
    """Return names of classes, images and the like as `datasets` keeps them, in the table and not in files."""
    import pyarrow as pa
    from datasets import Features
    from datasets.table import embed_table_storage

    own = Features({name: features[name]})
    examples = [own.encode_example({name: cell}) for cell in cells]
    return embed_table_storage(pa.Table.from_pylist(examples, schema=own.arrow_schema)).column(0)
