"""What values are made of: plain ones by content, containers by what is in them, all others by class and state."""

from __future__ import annotations

import functools
import sys
import types
import typing
from collections import deque
from collections.abc import Mapping
from typing import Any

from potstill.engine.code import modules
from potstill.engine.code.classes import encode_class
from potstill.engine.code.foreign import encode_foreign
from potstill.engine.code.functions import added, encode_callable
from potstill.engine.code.holders import encode_held
from potstill.engine.code.inert import encode_inert
from potstill.engine.code.origins import ENTRY, is_entry, is_own_module, known_as
from potstill.engine.code.plain import encode_plain, encode_set
from potstill.engine.code.pythons import arguments_in_311, encoded_in_311
from potstill.engine.code.states import encode_object, own_kind
from potstill.engine.code.syntax import sha
from potstill.engine.code.walk import Encoded, Walk


def encode_value(walk: Walk, value: object, label: str) -> Encoded:
    """Return what stands for any value; what can't be seen is refused by name."""
    plain = encode_plain(walk, value) or encoded_in_311(value)
    if plain is not None:
        return plain
    earlier = walk.seen(value)
    if earlier is not None:
        return earlier
    # the interpreter shares equal ones at will: whether two are one object says nothing
    if type(value) in (tuple, frozenset):
        return walk.written(value, lambda: _container(walk, value, label))
    for encode in (_container_of, _code, encode_foreign, _typing, encode_held, encode_inert):
        encoded = encode(walk, value, label)
        if encoded is not None:
            return [*encoded, *own_kind(walk, value, label)] if encode in (_code, encode_held) else encoded
    return encode_object(walk, value, label)


def _code(walk: Walk, value: object, label: str) -> Encoded | None:
    """Return what stands for a class, module, function or descriptor; None for anything else."""
    if isinstance(value, types.GenericAlias):
        return None
    if isinstance(value, type):
        return encode_class(walk, value, label)
    if isinstance(value, types.ModuleType):
        return modules.whole(walk, value) if is_own_module(value) else ["library", known_as(value.__name__)]
    if isinstance(value, (property, types.DynamicClassAttribute)):
        walk.texts[f"{label} (text of {getattr(value.fget, '__qualname__', 'a property')})"] = value.__doc__ or ""
        return [type(value).__name__, *walk.encode_all((value.fget, value.fset, value.fdel), label)]
    if isinstance(value, (types.GetSetDescriptorType, types.MemberDescriptorType)):
        return ["slot", value.__name__, walk.encode(value.__objclass__, label)]
    if isinstance(value, (staticmethod, classmethod)):
        return [type(value).__name__, walk.encode(value.__func__, label), *added(walk, value, label)]
    if isinstance(value, functools.cached_property):
        return ["cached property", walk.encode(value.func, label)]
    if isinstance(value, types.CodeType):
        from potstill.engine.code.functions import instructions

        walk.by_instructions()
        return ["instructions", sha(instructions(value))]
    return encode_callable(walk, value, label)


def _container_of(walk: Walk, value: object, label: str) -> Encoded | None:
    """Return a container of the standard library by what is in it; None for anything else."""
    if value is sys.modules:
        walk.flag("names")
        return ["library", "sys.modules"]
    if type(value) in _CONTAINERS:
        walk.remember(value, label)
        return _container(walk, value, label)
    return None


_CONTAINERS = frozenset(
    {list, dict, set, deque, types.MappingProxyType, *map(type, ({}.keys(), {}.values(), {}.items()))}
)

_WRITTEN_BY_PYTHON = frozenset({"__builtins__", "__firstlineno__"})
"""Keys that `exec` and `class` put into the namespaces that they fill."""


def _container(walk: Walk, value: Any, label: str) -> Encoded:
    """Return a container's type and content."""
    if isinstance(value, Mapping):
        items = [pair for pair in value.items() if not (isinstance(pair[0], str) and pair[0] in _WRITTEN_BY_PYTHON)]
        return ["dict", *([walk.encode(key, label), walk.encode(item, label)] for key, item in items)]
    if isinstance(value, (set, frozenset)):
        return [type(value).__name__, *encode_set(walk, value, label)]
    limit = [value.maxlen] if isinstance(value, deque) else []
    return [type(value).__name__, *limit, *walk.encode_all(value, label)]


def _typing(walk: Walk, value: object, label: str) -> Encoded | None:
    """Return what stands for a type expression; None for anything else."""
    module = type(value).__module__
    if isinstance(value, (types.GenericAlias, types.UnionType)) or module in ("typing", "typing_extensions"):
        metadata = getattr(value, "__metadata__", ())
        arguments = arguments_in_311(value)
        if isinstance(value, typing.NewType):
            place = ENTRY if is_entry(value.__module__) else value.__module__
            return ["new type", place, value.__name__, walk.encode(value.__supertype__, label)]
        if isinstance(value, (typing.TypeVar, typing.ParamSpec, typing.ForwardRef)) or not arguments:
            limits = (getattr(value, "__bound__", None), *getattr(value, "__constraints__", ()))
            return ["type", repr(value), *(walk.encode_all(limits, label) if any(limits) else ())]
        origin = typing.get_origin(value)
        kind = "Union" if origin in (typing.Union, types.UnionType) else walk.encode(origin, label)
        return ["type", kind, walk.encode_all(arguments, label), walk.encode_all(metadata, label)]
    return None
