"""JSON values as values of the types that annotations name."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import json
import re
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePath
from typing import Any

from potstill.engine.json_text import json_in

Annotation = object
"""What may stand behind the colon of a field: a class, `list[int]`, `int | None`, `Annotated[...]`, a text, ..."""
LENGTH = re.compile(
    r"(?:(?P<days>-?\d+) days?,? ?)?"
    r"(?:(?P<hours>\d+):(?P<minutes>\d\d)(?::(?P<seconds>\d\d(?:\.\d+)?))?)?"
)
"""How Python writes a length of time: `2 days, 1:30:00`."""


class MisfitError(ValueError):
    """A text or value is none of the type; the message names what it must be."""


ANYTHING = (Any, object)
"""Annotations that allow anything."""


def from_json(value: object, annotation: Annotation) -> Any:
    """Return a value that came as JSON as one of the type annotated; text is what has no JSON form."""
    kind = plain(annotation)
    members = members_of(kind)
    if members:
        return _first_fitting(value, members)
    if kind in ANYTHING:
        return value
    origin, inner = typing.get_origin(kind) or kind, typing.get_args(kind)
    if origin in WRITTEN:
        return _written(value, origin)
    if origin is typing.Literal:
        return _literal(value, inner)
    for wanted, read in ((Mapping, _mapping), (tuple, _tuple), (collections.abc.Iterable, _items)):
        if is_class(origin, (wanted,)) and origin not in (str, bytes) and not is_class(origin, (enum.Enum,)):
            return read(value, origin, inner)
    if is_class(kind, (enum.Enum,)):
        return _member(value, kind)
    if is_class(kind, (PurePath,)):
        return kind(_of_type(value, str, kind))
    if isinstance(kind, type) and (dataclasses.is_dataclass(kind) or typing.is_typeddict(kind)):
        return _with_fields(value, kind)
    if kind in _NUMBERS:
        return _number(value, kind)
    if kind in (str, type(None)) or (isinstance(kind, type) and isinstance(value, kind)):
        return _of_type(value, kind, kind)
    raise MisfitError(misfit(f"{name_of(kind)}, which the command line can't give", value))


def _first_fitting(value: object, members: tuple[Any, ...]) -> Any:
    """Return a JSON value as the first member of a union that takes it as it is, else the first that can."""
    exact = [member for member in members if plain(member) is type(value)]
    for member in (*exact, *members):
        try:
            return from_json(value, member)
        except MisfitError:
            continue
    raise MisfitError(misfit(" or ".join(map(name_of, members)), value))


def _number(value: object, kind: type) -> Any:
    """Return a JSON number as `kind`; `true` is no number, and 1.5 no whole one."""
    if kind is bool or isinstance(value, bool) or value is None:
        return _of_type(value, kind, kind)
    if kind is not int and isinstance(value, str) and value.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return kind(value)
    number = _of_type(value, int if kind is int else (int, float), kind)
    try:
        return kind(number)
    except OverflowError as error:
        raise MisfitError(misfit(name_of(kind), value)) from error


def _written(value: object, kind: type) -> Any:
    """Return a value whose type has a written form of its own, such as a date."""
    try:
        return WRITTEN[kind](value if isinstance(value, str) else str(value))
    except (ValueError, ArithmeticError, re.error) as error:
        raise MisfitError(misfit(f"{name_of(kind)}{_EXAMPLES.get(kind, '')}", value)) from error


def _member(value: object, kind: type[enum.Enum]) -> Any:
    """Return the member of an enum by its name, or by its value."""
    if isinstance(value, str) and value in kind.__members__:
        return kind[value]
    for member in kind:
        if (type(member.value), member.value) == (type(value), value) or str(member.value) == value:
            return member
    raise MisfitError(misfit(f"one of {', '.join(kind.__members__)}", value))


def _literal(value: object, allowed: tuple[Any, ...]) -> Any:
    """Return the one of the `allowed` values that is meant."""
    for choice in allowed:
        if (type(choice), choice) == (type(value), value):
            return choice
    for choice in allowed:  # a text that looks like JSON, as in Literal["1", "2"]
        if isinstance(choice, str) and choice == json.dumps(value):
            return choice
        if isinstance(choice, enum.Enum) and choice.name == value:
            return choice
    raise MisfitError(misfit(f"one of {', '.join(map(repr, allowed))}", value))


def _mapping(value: object, origin: Callable[..., Any], inner: tuple[Any, ...]) -> Any:
    """Return a JSON object as a mapping; keys are read as texts of their type."""
    if not isinstance(value, dict):
        raise MisfitError(misfit('a JSON object, as in {"a": 1}', value))
    key, item = inner if len(inner) == 2 else (Any, Any)
    read = {_key(name, plain(key)): from_json(each, item) for name, each in value.items()}
    return read if origin in (dict, Mapping, collections.abc.MutableMapping) else origin(read)


def _key(text: str, kind: Annotation) -> Any:
    """Return a key of a JSON object, which is always a text there, as one of type `kind`."""
    for value in (text, *_decoded(text)):
        try:
            return from_json(value, kind)
        except MisfitError:
            continue
    raise MisfitError(misfit(f"{name_of(kind)} as a key", text))


def _decoded(text: str) -> tuple[Any, ...]:
    """Return the JSON value that a text is, if it is one."""
    try:
        return (json_in(text),)
    except ValueError:
        return ()


def _tuple(value: object, origin: Callable[..., Any], inner: tuple[Any, ...]) -> Any:
    """Return a JSON list as a tuple, plain or named."""
    listed = _listed(value)
    if hasattr(origin, "_fields"):
        kinds = [typing.get_type_hints(origin).get(name, Any) for name in origin._fields]
        return origin(*_each(listed, tuple(kinds)))
    if not inner or inner[-1] is Ellipsis:
        return tuple(from_json(item, inner[0] if inner else Any) for item in listed)
    return tuple(_each(listed, inner))


def _items(value: object, origin: Callable[..., Any], inner: tuple[Any, ...]) -> Any:
    """Return a JSON list as a list, a set, or another collection."""
    read = [from_json(item, inner[0] if inner else Any) for item in _listed(value)]
    if is_class(origin, (set, frozenset, collections.deque)):
        return origin(read)
    return set(read) if is_class(origin, (collections.abc.Set,)) else read


def _each(listed: list[Any], kinds: tuple[Any, ...]) -> list[Any]:
    """Return as many items as there are `kinds`, each as its own."""
    if len(listed) != len(kinds):
        raise MisfitError(misfit(f"a JSON list of {len(kinds)}", listed))
    return [from_json(item, kind) for item, kind in zip(listed, kinds, strict=True)]


def _listed(value: object) -> list[Any]:
    """Return a JSON list."""
    if not isinstance(value, list):
        raise MisfitError(misfit('a JSON list, as in ["a", "b"]', value))
    return value


def _with_fields(value: object, kind: type) -> Any:
    """Return a JSON object as a dataclass or typed dict, its fields read by their own annotations."""
    if not isinstance(value, dict):
        raise MisfitError(misfit(f"the fields of {kind.__name__} as a JSON object", value))
    annotations = typing.get_type_hints(kind, include_extras=True)
    names = {field.name for field in dataclasses.fields(kind) if field.init} if dataclasses.is_dataclass(kind) else None
    if unknown := sorted(value.keys() - (annotations.keys() if names is None else names)):
        raise MisfitError(f"{kind.__name__} has no field {', '.join(unknown)}; it has {', '.join(sorted(annotations))}")
    try:
        return kind(**{name: from_json(item, annotations.get(name, Any)) for name, item in value.items()})
    except TypeError as error:
        raise MisfitError(f"must be a {kind.__name__}: {error}") from error


def _of_type(value: object, wanted: type | tuple[type, ...], kind: Annotation) -> Any:
    """Return a value if it is of the `wanted` type, and no truth value taken for a number."""
    if isinstance(value, wanted) and (kind is bool or not isinstance(value, bool)):
        return value
    raise MisfitError(misfit(name_of(kind), value))


def name_of(annotation: Annotation) -> str:
    """Return an annotation as a person would write it."""
    bare = plain(annotation)
    if bare is type(None):
        return "None"
    is_plain_class = isinstance(bare, type) and not typing.get_args(bare)
    return str(bare.__name__) if is_plain_class else str(bare).replace("typing.", "")


def misfit(wanted: str, value: object) -> str:
    """Return what to say of a value that is not what is wanted."""
    return f"must be {wanted}, got {value!r:.60}"


def plain(annotation: Annotation) -> Any:
    """Return an annotation without marks, names of its own and forms that mean the same."""
    bare: Any = annotation
    while True:
        if hasattr(bare, "__metadata__"):
            bare = bare.__origin__
        elif hasattr(bare, "__supertype__"):
            bare = bare.__supertype__
        elif type(bare).__name__ == "TypeAliasType":
            bare = bare.__value__
        elif isinstance(bare, typing.TypeVar):
            bare = bare.__bound__ or Any
        elif typing.get_origin(bare) in (typing.Final, typing.ClassVar, dataclasses.InitVar):
            bare = typing.get_args(bare)[0]
        else:
            return type(None) if bare is None else bare


def members_of(kind: Annotation) -> tuple[Any, ...]:
    """Return the members of a union, those of unions in it among them; nothing for anything else."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return ()
    bare = [plain(member) for member in typing.get_args(kind)]
    return tuple(inner for member in bare for inner in (members_of(member) or (member,)))


def is_class(kind: Annotation, bases: tuple[type, ...]) -> bool:
    """Return whether `kind` is a class below one of the `bases`."""
    return isinstance(kind, type) and not typing.is_typeddict(kind) and issubclass(kind, bases)


def _length_of_time(text: str) -> timedelta:
    """Return a length of time, in seconds or as Python writes it."""
    match = LENGTH.fullmatch(text)
    if not text or match is None:
        return timedelta(seconds=float(text))
    return timedelta(**{name: float(number) for name, number in match.groupdict().items() if number})


def dataclass_in(annotation: Annotation) -> type | None:
    """Return the dataclass that an annotation allows, if it allows exactly one."""
    bare = plain(annotation)
    classes = [
        kind for kind in (members_of(bare) or (bare,)) if isinstance(kind, type) and dataclasses.is_dataclass(kind)
    ]
    return classes[0] if len(classes) == 1 else None


_NUMBERS = (bool, int, float)
WRITTEN: Mapping[type, Callable[[str], Any]] = {
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
    time: time.fromisoformat,
    timedelta: _length_of_time,
    Decimal: Decimal,
    Fraction: Fraction,
    complex: complex,
    uuid.UUID: uuid.UUID,
    re.Pattern: re.compile,
    bytes: str.encode,
}
_EXAMPLES: Mapping[type, str] = {
    date: ", as in 2026-01-31",
    datetime: ", as in 2026-01-31T09:30:00",
    time: ", as in 09:30:00",
    timedelta: " in seconds, or as in 1:30:00",
}
