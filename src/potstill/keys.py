"""Canonical, type-tagged encoding of values, and digests of it: `1`, `"1"`, `1.0` and `True` all differ.

The encoding is plain JSON, so that it can be stored in a manifest and compared part by part to explain a miss.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import json
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, MethodType, MethodWrapperType, ModuleType
from typing import Annotated, Any

from potstill.code import class_code, function_code
from potstill.digests import path_digest
from potstill.errors import BadInput

KEY_LENGTH = 32
"""Hex digits of a key: 128 bits."""


@dataclass(frozen=True)
class FileContent:
    """Annotation mark: the value is a path, and the content behind it (not its name) goes into the key."""

    def identity(self, value: str | Path) -> dict[str, str]:
        """Return what the key holds for the file or folder at `value`.

        Raises:
            BadInput: nothing is there.
        """
        if not Path(value).exists():
            raise BadInput(f"no such file: {value}")
        return {"content": path_digest(Path(value))}


File = Annotated[str | Path, FileContent()]
"""A parameter that is a path; its content goes into the key."""


def encode(value: Any) -> Any:
    """Return `value` as nested JSON lists whose first element names the type.

    Raises:
        BadInput: the value is of a type that has no canonical form.
    """
    for types, tag in _SCALARS:
        if type(value) in types:
            return tag(value)
    if hasattr(value, "identity") and not isinstance(value, type):
        return ["identity", type(value).__qualname__, encode(value.identity())]
    if isinstance(value, enum.Enum):
        return ["enum", type(value).__qualname__, encode(value.value), value.name]
    if isinstance(value, Path):
        return ["path", str(value)]
    if isinstance(value, Mapping):
        pairs = [[encode(key), encode(item)] for key, item in value.items()]
        return ["dict", *sorted(pairs, key=canonical)]
    if isinstance(value, (set, frozenset)):
        return ["set", *sorted((encode(item) for item in value), key=canonical)]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *(encode(item) for item in value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {name: encode(item) for name, item in keyed_fields(value)}
        return ["dataclass", type(value).__qualname__, fields, *_own_code(type(value))]
    return _encode_rest(value)


def _encode_rest(value: Any) -> Any:
    """Encode callables, types and arrays."""
    if isinstance(value, functools.partial):
        return ["partial", encode(value.func), encode(value.args), encode(value.keywords)]
    if isinstance(value, MethodType):
        return ["method", encode(value.__func__), encode(value.__self__)]
    if hasattr(value, "cache_info") and hasattr(value, "__wrapped__"):
        value = value.__wrapped__  # functools.cache changes no result
    if isinstance(value, FunctionType):
        return ["function", f"{value.__module__}.{value.__qualname__}", encode(function_code(value))]
    if isinstance(value, BuiltinFunctionType) and not isinstance(value.__self__, (ModuleType, type(None))):
        return ["method", value.__name__, encode(value.__self__)]  # e.g. `allowed.__contains__`
    if isinstance(value, (type, BuiltinFunctionType)):
        name = f"{value.__module__}.{value.__qualname__}"
        return ["name", name, *(_own_code(value) if isinstance(value, type) else ())]
    if isinstance(value, (MethodDescriptorType, MethodWrapperType)):
        owner = value.__objclass__ if isinstance(value, MethodDescriptorType) else encode(value.__self__)
        return ["method", value.__name__, encode(owner)]
    if hasattr(value, "dtype") and hasattr(value, "tobytes"):
        return ["array", str(value.dtype), list(value.shape), hashlib.sha256(value.tobytes()).hexdigest()]
    raise BadInput(
        f"a {type(value).__module__}.{type(value).__qualname__} can't be part of a key: use plain values, a frozen "
        f"dataclass, or give it an identity() method; value {value!r:.80}"
    )


def _own_code(cls: type) -> list[Any]:
    """Return the encoded code of a class of the user's own; nothing for Potstill's and library classes."""
    if cls in _OPEN.get():
        return []  # a class that holds an instance of itself
    before = _OPEN.set(_OPEN.get() | {cls})
    try:
        found = class_code(cls)
        return [encode(found)] if found else []
    finally:
        _OPEN.reset(before)


def keyed_fields(value: Any) -> list[tuple[str, Any]]:
    """Return the fields of a dataclass that its key covers: all but those its `unkeyed` lists, and the name."""
    excluded: frozenset[str] = getattr(value, "unkeyed", frozenset())
    return [
        (field.name, getattr(value, field.name)) for field in dataclasses.fields(value) if field.name not in excluded
    ]


def canonical(encoded: Any) -> str:
    """Return the one JSON text of an encoded value."""
    return json.dumps(encoded, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(value: Any) -> str:
    """Return the digest of any value that can be encoded."""
    return digest_encoded(encode(value))


def digest_encoded(encoded: Any) -> str:
    """Return the digest of a value that is encoded already."""
    return hashlib.sha256(canonical(encoded).encode()).hexdigest()[:KEY_LENGTH]


_OPEN: ContextVar[frozenset[type]] = ContextVar("open classes", default=frozenset())
_SCALARS: tuple[tuple[tuple[type, ...], Any], ...] = (
    ((str,), lambda value: ["str", value]),
    ((bool,), lambda value: ["bool", value]),
    ((int,), lambda value: ["int", str(value)]),
    ((float,), lambda value: ["float", value.hex()]),
    ((type(None),), lambda value: ["none"]),
    ((bytes,), lambda value: ["bytes", value.hex()]),
    ((date, datetime, time, timedelta, Decimal), lambda value: [type(value).__name__, repr(value)]),
)
