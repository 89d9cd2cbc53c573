"""Column types of loaded files: named simply, checked value by value, converted to an Arrow schema."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from potstill.engine.rows.arrow_values import column, is_text
from potstill.engine.rows.casting import as_objects, recast
from potstill.engine.rows.common_types import unified
from potstill.engine.rows.flaws import Flawed
from potstill.engine.rows.objects import is_json
from potstill.engine.rows.types import Unfit
from potstill.errors import BadInput, Problem

if TYPE_CHECKING:
    import pyarrow as pa

MOST_PROBLEMS = 20
"""Problems of a file that are shown; more are only counted."""
WORDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "an object",
}
"""The simple types, as messages call them."""


@dataclass(frozen=True)
class SimpleTypes:
    """Annotation mark: types may be given as `int` or `"int"`, and both give the same key."""

    def identity(self, value: object) -> dict[str, Any]:
        """Return what the key holds for one type, or for all of them."""
        if isinstance(value, Mapping):
            return {name: self.identity(kind) for name, kind in value.items()}
        kind = kind_of(value)
        return {"type": kind.name + "?" * kind.optional}


Schema = Annotated[Mapping[str, Any], SimpleTypes()]
"""A parameter: column to type, one of `str`, `int`, `float`, `bool`, `list`, `dict`, also as text; `"int?"` or
`int | None` is an int that may be missing."""


@dataclass(frozen=True)
class Kind:
    """A simple type of a column."""

    name: str
    """One of the names in `WORDS`."""
    optional: bool = False
    """Whether values may be missing."""

    def objection(self, value: object) -> str:
        """Return what is wrong with a value, or an empty string; a whole number is a number too."""
        if value is None:
            return "" if self.optional else f"must be {WORDS[self.name]}, but is missing (say {self.name}? to allow it)"
        actual = kind_name(value)
        if actual == self.name or (actual, self.name) == ("int", "float"):
            return ""
        return f"must be {WORDS[self.name]}, got {value!r:.60}"


def kind_of(annotation: object) -> Kind:
    """Return the type that a user names as `int`, `"int"`, `"int?"` or `int | None`.

    Raises:
        BadInput: there is no such simple type.
    """
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        inner = [part for part in typing.get_args(annotation) if part is not types.NoneType]
        if len(inner) == 1:
            return Kind(kind_of(inner[0]).name, optional=True)
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    if name.removesuffix("?") not in WORDS:
        raise BadInput(f"{annotation!r} is no type of a column: use {', '.join(WORDS)}, with ? where it may be missing")
    return Kind(name.removesuffix("?"), name.endswith("?"))


def schema_problems(schema: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with a schema as the user gave it."""
    for name, annotation in schema.items():
        try:
            kind_of(annotation)
        except BadInput as error:
            yield Problem("", "schema", f"column {name!r}: {error}")


def kind_name(value: object) -> str:
    """Return the simple type of a value, or an empty string for others such as dates."""
    # bool before int: True is an int in Python
    for name, kind in (("bool", bool), ("str", str), ("int", int), ("float", float), ("dict", Mapping)):
        if isinstance(value, kind):
            return name
    return "list" if isinstance(value, (list, tuple)) else ""


@dataclass
class Findings:
    """What is wrong with one file: the first problems in full, the rest counted."""

    path: str
    """Name of the file, in every message."""
    shown: list[str] = field(default_factory=list)
    """The first problems."""
    count: int = 0
    """All problems."""

    def add(self, place: str, message: str) -> None:
        """Record a problem at a `place` such as `line 3`, or of the whole file."""
        self.count += 1
        if len(self.shown) < MOST_PROBLEMS:
            self.shown.append(f"{self.path}{f', {place}' if place else ''}: {message}")

    def problems(self) -> list[Problem]:
        """Return the problems, the last of which may say how many more there are."""
        more = self.count - len(self.shown)
        rest = [f"{self.path}: {more} more problems like these"] if more else []
        return [Problem("", "", text) for text in (*self.shown, *rest)]


@dataclass
class Survey:
    """Scans records once: reports problems, and infers the one Arrow schema that holds them all."""

    schema: Mapping[str, Kind]
    """What the user says about the columns; others are taken as they come."""
    rows: int = 0
    """Records seen."""
    names: dict[str, None] = field(default_factory=dict)
    """Columns seen, in order."""
    _kinds: dict[str, tuple[str, str]] = field(default_factory=dict)
    _types: dict[str, pa.DataType] = field(default_factory=dict)

    def look(self, chunk: Iterable[tuple[str, Mapping[str, Any]]], findings: Findings) -> None:
        """Take in some `(place, record)`s of one file."""
        records = list(chunk)
        for place, record in records:
            self.rows += 1
            self.names.update(dict.fromkeys(record))
            for message in self._wrong(record, place):
                findings.add(place, message)
        # after the first problem the load fails anyway, and wrong values would spoil the types
        if not findings.count:
            self._infer(records, findings)

    def arrow(self) -> pa.Schema:
        """Return the schema of everything seen; a column that the user declared is there even if no record has it."""
        import pyarrow as pa

        fields = []
        for name in dict.fromkeys([*self.names, *self.schema]):
            declared = plain_type(self.schema[name].name) if name in self.schema else None
            fields.append((name, declared or self._types.get(name, pa.null())))
        return pa.schema(fields)

    def _wrong(self, record: Mapping[str, Any], place: str) -> Iterator[str]:
        """Yield what is wrong with one record."""
        for name, kind in self.schema.items():
            if name not in record and not kind.optional:
                yield f"no field {name!r} (it has {', '.join(map(str, record)) or 'nothing'})"
        for name, value in record.items():
            if not isinstance(name, str):
                yield f"the name of a field must be a text, got {name!r:.60}"
            elif not is_text(name):
                yield f"field {name!r:.60} is named by half a character, which can't be written"
            elif name in self.schema:
                message = self.schema[name].objection(value)
                if message:
                    yield f"field {name!r} {message}"
            elif value is not None:
                yield from self._clash(name, value, place)

    def _clash(self, name: str, value: object, place: str) -> Iterator[str]:
        """Yield a message if a value is of another type than earlier ones; whole and other numbers go together."""
        kind = kind_name(value)
        first, where = self._kinds.setdefault(name, (kind, place))
        if {kind, first} == {"int", "float"}:
            self._kinds[name] = ("float", where)
        elif kind != first:
            here, there = WORDS.get(kind, type(value).__name__), WORDS.get(first, "something else")
            yield f"field {name!r} is {here} here and {there} in {where}"

    def _infer(self, records: Sequence[tuple[str, Mapping[str, Any]]], findings: Findings) -> None:
        """Widen the types of the columns by some records, and name what has no place in them."""
        for name in self.names:
            cells = [record.get(name) for _, record in records]
            try:
                inferred = column(cells).type
                self._types[name] = unified(self._types.get(name, inferred), inferred)
            except Flawed as error:
                for flaw in error.inside(name).flaws:
                    also = f", but {flaw.other} in {records[flaw.other_row][0]}" if flaw.other else ""
                    findings.add(records[flaw.row][0], f"field {flaw.path!r} {flaw.what}{also}: {flaw.remedy}")
            except Unfit as error:
                places = f"{records[0][0]} to {records[-1][0]}"
                findings.add(places, f"field {name!r} has values that don't go with those before ({error})")


def plain_type(name: str) -> pa.DataType | None:
    """Return the Arrow type of a simple type, or None for lists and objects, which may hold anything."""
    import pyarrow as pa

    return {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}.get(name)


def as_table(records: list[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """Return records that a survey has checked as a table.

    Raises:
        BadInput: a whole number is changed by a fraction that came later.
    """
    import pyarrow as pa

    columns, wrong = [], []
    for part in schema:
        cells = [row.get(part.name) for row in records]
        try:
            objects = is_json(part.type) and any(cell is not None for cell in cells)
            columns.append(as_objects(cells) if objects else recast(column(cells), part.type))
        except Flawed as error:
            wrong += [f"field {flaw.path!r} {flaw.what}: {flaw.remedy}" for flaw in error.inside(part.name).flaws]
    if wrong:
        raise BadInput(*(Problem("", "path", text) for text in wrong))
    return pa.table(columns, schema=schema)
