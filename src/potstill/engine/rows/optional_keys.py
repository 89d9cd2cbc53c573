"""Objects of which some lack keys that others have: fields on disk, which every reader of Parquet knows, then objects.

A missing key is a missing value in a struct, which is another thing only where an object has the key with None in it.
So objects with keys of their own, anywhere in a column, become structs where one object has all keys, none holds None,
and every key has one type; a mark in the file says that what is missing was never there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from potstill.engine.rows import lists
from potstill.engine.rows.arrow_values import column
from potstill.engine.rows.casting import as_objects as objects_of
from potstill.engine.rows.casting import values
from potstill.engine.rows.flaws import Flawed
from potstill.engine.rows.objects import dumps, holds_json, is_json

if TYPE_CHECKING:
    import pyarrow as pa

_MARK = b"potstill"
"""Where a schema names the columns, and places in them, whose missing fields are keys that aren't there."""
_ITEMS = "[]"


@dataclass
class KeySurvey:
    """Looks at all objects at one place of a column and finds the struct that can hold them, if there is one."""

    most_keys: int = 0
    """Keys of the object that has most."""
    kinds: dict[str, pa.DataType] | None = field(default_factory=dict)
    """Type by key, in the order in which they appeared; None once no struct can hold the objects."""

    def look(self, cells: Iterable[Any]) -> None:
        """Take in some objects."""
        if self.kinds is None:
            return
        present = [value for value in cells if value is not None]
        if not all(isinstance(value, dict) and None not in value.values() for value in present):
            self.kinds = None
            return
        self.most_keys = max([self.most_keys, *map(len, present)])
        for name in {key: None for value in present for key in value}:
            if not self._agrees(name, [value[name] for value in present if name in value]):
                self.kinds = None
                return

    def struct(self) -> pa.DataType | None:
        """Return the type that holds the objects, or None: then they stay as they are."""
        import pyarrow as pa

        if not self.kinds or self.most_keys < len(self.kinds):
            return None
        return pa.struct([pa.field(name, kind) for name, kind in self.kinds.items()])

    def _agrees(self, name: str, cells: list[Any]) -> bool:
        """Return whether values of a key have one type, the one that it had before, and come back from it."""
        assert self.kinds is not None
        try:
            array = column(cells)
            exact = not holds_json(array.type) and dumps(values(array)) == dumps(cells)
        except (Flawed, TypeError):
            return False
        return exact and self.kinds.setdefault(name, array.type).equals(array.type)


def surveyed(tables: Iterable[pa.Table]) -> dict[str, pa.DataType]:
    """Return the structs that hold the objects of all tables, by their places in the columns."""
    surveys: dict[str, KeySurvey] = {}
    for table in tables:
        for name in table.column_names:
            for chunk in table[name].chunks:
                _look(chunk, name, surveys)
    structs = {place: survey.struct() for place, survey in surveys.items()}
    return {place: kind for place, kind in structs.items() if kind is not None}


def field_schema(schema: pa.Schema, kinds: Mapping[str, pa.DataType]) -> pa.Schema:
    """Return a schema whose objects at the places of `kinds` are fields, with a mark that says so."""
    import pyarrow as pa

    if not kinds:
        return schema
    parts = [part.with_type(_kind(part.type, part.name, kinds)) for part in schema]
    return pa.schema(parts, {**(schema.metadata or {}), _MARK: json.dumps(sorted(kinds)).encode()})


def as_fields(table: pa.Table, kinds: Mapping[str, pa.DataType]) -> pa.Table:
    """Return a table as `field_schema` has it."""
    schema = field_schema(table.schema, kinds)
    return _converted(table, schema, kinds)


def is_marked(schema: pa.Schema) -> bool:
    """Return whether the rows of a file hold fields that are objects."""
    return _MARK in (schema.metadata or {})


def object_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema of what `as_objects` makes."""
    import pyarrow as pa

    metadata = dict(schema.metadata or {})
    places = json.loads(metadata.pop(_MARK, b"[]"))
    kinds: dict[str, pa.DataType] = dict.fromkeys(places, pa.json_())
    return pa.schema([part.with_type(_kind(part.type, part.name, kinds)) for part in schema], metadata or None)


def as_objects(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch of a file with this schema, its marked fields as the objects that they were."""
    import pyarrow as pa

    if not is_marked(schema):
        return batch
    kinds: dict[str, pa.DataType] = dict.fromkeys(json.loads(schema.metadata[_MARK]), pa.json_())
    columns = [_replaced(column, name, kinds) for name, column in zip(schema.names, batch.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=object_schema(schema))


def _converted(table: pa.Table, schema: pa.Schema, kinds: Mapping[str, pa.DataType]) -> pa.Table:
    """Return a table whose columns are of the types of `schema`."""
    import pyarrow as pa

    columns = []
    for name, part in zip(table.column_names, schema, strict=True):
        chunks = [_replaced(chunk, name, kinds) for chunk in table[name].chunks]
        columns.append(pa.chunked_array(chunks, part.type))
    return pa.table(columns, schema=schema)


def _look(array: pa.Array, place: str, surveys: dict[str, KeySurvey]) -> None:
    """Take in the objects of a column."""
    import pyarrow as pa

    if is_json(array.type):
        surveys.setdefault(place, KeySurvey()).look(values(array))
    elif pa.types.is_struct(array.type) and holds_json(array.type):
        for part in array.type:
            _look(array.field(part.name), f"{place}.{part.name}", surveys)
    elif _is_list(array.type) and holds_json(array.type):
        _look(lists.items(array), place + _ITEMS, surveys)


def _replaced(array: pa.Array, place: str, kinds: Mapping[str, pa.DataType]) -> pa.Array:
    """Return a column whose objects at the places of `kinds` are of these types."""
    import pyarrow as pa

    if place in kinds:
        return _as(values(array), kinds[place])
    if not any(other.startswith((f"{place}.", place + _ITEMS)) for other in kinds):
        return array
    if pa.types.is_struct(array.type):
        parts = [_replaced(array.field(part.name), f"{place}.{part.name}", kinds) for part in array.type]
        return pa.StructArray.from_arrays(parts, [part.name for part in array.type], mask=array.is_null())
    ends, large = lists.bounds(array), pa.types.is_large_list(array.type)
    array_type = pa.LargeListArray if large else pa.ListArray
    offsets = pa.array(ends, pa.int64() if large else pa.int32())
    return array_type.from_arrays(offsets, _replaced(lists.items(array), place + _ITEMS, kinds), mask=array.is_null())


def _as(cells: list[Any], kind: pa.DataType) -> pa.Array:
    """Return objects as fields, or fields as objects without what is missing."""
    import pyarrow as pa

    if is_json(kind):
        return objects_of(
            [None if cell is None else {name: v for name, v in cell.items() if v is not None} for cell in cells]
        )
    names = [part.name for part in kind]
    return pa.array([None if cell is None else {name: cell.get(name) for name in names} for cell in cells], kind)


def _kind(kind: pa.DataType, place: str, kinds: Mapping[str, pa.DataType]) -> pa.DataType:
    """Return the type of a column after `_replaced`."""
    import pyarrow as pa

    if place in kinds:
        return kinds[place]
    if pa.types.is_struct(kind):
        return pa.struct([part.with_type(_kind(part.type, f"{place}.{part.name}", kinds)) for part in kind])
    if _is_list(kind):
        inner = kind.value_field.with_type(_kind(kind.value_type, place + _ITEMS, kinds))
        return (pa.large_list if pa.types.is_large_list(kind) else pa.list_)(inner)
    return kind


def _is_list(kind: pa.DataType) -> bool:
    """Return whether a type is a list of any length."""
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))
