"""Objects of which some lack keys that others have: fields on disk, which every reader of Parquet knows, then objects.

A missing key is a missing value in a struct, which is another thing only where an object has the key with None in it.
So a column of objects with keys of their own becomes a struct where one object has all keys, none holds None, and every
key has one type; a mark on the column says that what is missing was never there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from potstill.arrow.casting import values as objects_of
from potstill.arrow.flaws import Flawed
from potstill.arrow.objects import dumps, holds_json, is_json, of_texts
from potstill.arrow.types import Unfit
from potstill.arrow.values import column

if TYPE_CHECKING:
    import pyarrow as pa

MARK = {b"potstill": b"missing keys are missing values"}
"""Metadata of a field whose objects lack the keys that hold nothing."""


@dataclass
class KeySurvey:
    """Looks at all objects of a column and finds the struct that can hold them, if there is one."""

    most_keys: int = 0
    """Keys of the object that has most."""
    kinds: dict[str, pa.DataType] | None = field(default_factory=dict)
    """Type by key, in the order in which they appeared; None once no struct can hold the column."""

    def look(self, chunk: pa.Array) -> None:
        """Take in some of the column."""
        if self.kinds is None:
            return
        given = [value for value in objects_of(chunk) if value is not None]
        if not all(isinstance(value, dict) and None not in value.values() for value in given):
            self.kinds = None
            return
        self.most_keys = max([self.most_keys, *map(len, given)])
        for name in {key: None for value in given for key in value}:
            if not self._agrees(name, [value[name] for value in given if name in value]):
                self.kinds = None
                return

    def struct(self) -> pa.DataType | None:
        """Return the type that holds the column, or None: then it stays as it is."""
        import pyarrow as pa

        if not self.kinds or self.most_keys < len(self.kinds):
            return None
        return pa.struct([pa.field(name, kind) for name, kind in self.kinds.items()])

    def _agrees(self, name: str, cells: list[Any]) -> bool:
        """Return whether values of a key have one type, the one that it had before, and come back from it."""
        assert self.kinds is not None
        try:
            array = column(cells)
            exact = not holds_json(array.type) and dumps(objects_of(array)) == dumps(cells)
        except (Flawed, Unfit, TypeError):
            return False
        return exact and self.kinds.setdefault(name, array.type).equals(array.type)


def surveyed(schema: pa.Schema, groups: Iterable[pa.Table]) -> pa.Schema:
    """Return a schema in which the columns of objects are structs, where these hold all that is in `groups`."""
    surveys = {part.name: KeySurvey() for part in schema if is_json(part.type)}
    for group in groups:
        for name, survey in surveys.items():
            for chunk in group[name].chunks if name in group.column_names else ():
                survey.look(chunk)
    for number, part in enumerate(schema):
        kind = surveys[part.name].struct() if part.name in surveys else None
        if kind is not None:
            schema = schema.set(number, part.with_type(kind).with_metadata(MARK))
    return schema


def is_marked(part: pa.Field) -> bool:
    """Return whether a column's missing values are missing keys."""
    return (part.metadata or {}).items() >= MARK.items()


def as_fields(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table whose columns of objects are structs where `schema` marks them."""
    import pyarrow as pa

    for part in schema:
        number = table.schema.get_field_index(part.name)
        if is_marked(part) and number >= 0 and not table.schema.field(number).type.equals(part.type):
            chunks = [pa.array(objects_of(chunk), part.type) for chunk in table[number].chunks]
            table = table.set_column(number, part, pa.chunked_array(chunks, part.type))
    return table


def as_objects(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch whose marked structs are objects again, without the keys that hold nothing."""
    for number, part in enumerate(batch.schema):
        if is_marked(part):
            texts = [
                None if value is None else dumps({name: item for name, item in value.items() if item is not None})
                for value in batch.column(number).to_pylist()
            ]
            batch = batch.set_column(number, _unmarked(part), of_texts(_texts(texts)))
    return batch


def object_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema of what `as_objects` makes."""
    for number, part in enumerate(schema):
        if is_marked(part):
            schema = schema.set(number, _unmarked(part))
    return schema


def _unmarked(part: pa.Field) -> pa.Field:
    """Return the field of objects that a marked one stands for."""
    import pyarrow as pa

    return pa.field(part.name, pa.json_(), part.nullable)


def _texts(texts: list[str | None]) -> pa.Array:
    """Return texts as the storage of objects."""
    import pyarrow as pa

    return pa.array(texts, pa.string())
