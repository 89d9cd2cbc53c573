"""Canonical, type-tagged encoding of values, and digests of it: `1`, `"1"`, `1.0` and `True` all differ.

The encoding is plain JSON, so that it can be stored in a manifest and compared part by part to explain a miss.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, MethodType, MethodWrapperType, ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Protocol, cast

from potstill.engine.code import class_code, object_code
from potstill.engine.code.foreign import memory_order
from potstill.engine.code.functions import given_attributes, holds_results, is_cache
from potstill.engine.code.origins import public_name
from potstill.engine.code.states import identity_method
from potstill.engine.digests import no_such_file, path_digest
from potstill.errors import BadInput, PotstillError, RequestError, described

if TYPE_CHECKING:
    import numpy as np
    from _typeshed import DataclassInstance

KEY_LENGTH = 32
"""Hex digits of a key: 128 bits."""


class Identified(Protocol):
    """An object that defines its own part of a key."""

    def identity(self) -> object:
        """Return all that results depend on."""


@dataclass(frozen=True)
class FileContent:
    """Annotation mark: the value is a path, and the content behind it (not its name) goes into the key."""

    def identity(self, value: str | Path) -> dict[str, str]:
        """Return what the key holds for the file or folder at `value`.

        Raises:
            BadInput: nothing is there, or a pipe or device, whose content is gone once it is read.
        """
        path = Path(value)
        if not path.exists():
            raise BadInput(no_such_file(value))
        if not (path.is_file() or path.is_dir()):
            raise BadInput(f"{value} is neither a file nor a folder: what it gives can't be part of a key")
        return {"content": path_digest(path, listed=True)}


File = Annotated[str | Path, FileContent()]
"""A parameter that is a path; its content goes into the key."""


@dataclass(frozen=True)
class ByContent:
    """Stands for an input in an encoded key: what is there, not who made it."""

    digest: str
    """Digest of the input's content."""


Field = Callable[[type, str, Any], Any]
"""Encodes one field of a dataclass, given its class, its name and its value."""


def encode(value: object, *, ordered: bool = False, field: Field | None = None) -> Any:
    """Return `value` as nested JSON lists whose first element names the type.

    Args:
        value: What is encoded.
        ordered: Whether the order of a dict counts; rows, settings and other records have none.
        field: Encodes the fields of dataclasses in `value`; by default as any value.

    Raises:
        BadInput: the value is of a type that has no canonical form.
        RequestError: code that the value holds depends on something that can't be seen.
    """
    try:
        return _Encoder(ordered, field).encode(value)
    except RecursionError as error:
        raise BadInput(f"a value that is nested too deep can't be part of a key: {value!r:.80}") from error


class _Encoder:
    """Encodes one value; knows which containers it is in, so that one that holds itself is refused."""

    def __init__(self, ordered: bool, field: Field | None) -> None:
        self._ordered = ordered
        self._field = field
        self._open: set[int] = set()

    def encode(self, value: object) -> Any:
        """Return a value encoded."""
        scalar = _SCALARS.get(type(value))
        if scalar is not None:
            return scalar(value)
        if id(value) in self._open:
            raise BadInput(f"a {type(value).__name__} that holds itself can't be part of a key")
        self._open.add(id(value))
        try:
            return self._encode_held(value)
        finally:
            self._open.discard(id(value))

    def _encode_held(self, value: object) -> Any:
        """Encode what may hold other values."""
        if identity_method(type(value)) is not None and not isinstance(value, type):
            identity = encode(_identity(cast(Identified, value)))
            return ["identity", type(value).__qualname__, identity, *_own_code(type(value))]
        if isinstance(value, enum.Enum):
            return ["enum", type(value).__qualname__, self.encode(value.value), value.name, *_own_code(type(value))]
        if isinstance(value, Path):
            return ["path", str(value)]
        if isinstance(value, Mapping) and _is_plain(value):
            return self._mapping(value)
        if isinstance(value, (set, frozenset)) and _is_plain(value):
            return ["set", *sorted((self.encode(item) for item in value), key=canonical)]
        if isinstance(value, (list, tuple)) and (_is_plain(value) or hasattr(value, "_fields")):
            return [type(value).__name__, *(self.encode(item) for item in value), *_own_code(type(value))]
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            field = self._field or (lambda cls, name, item: self.encode(item))
            fields = {name: field(type(value), name, item) for name, item in keyed_fields(value)}
            others = {name: self.encode(one) for name, one in beside_fields(value).items()}
            more = [["beside its fields", others]] if others else []
            return ["dataclass", type(value).__qualname__, fields, *_own_code(type(value)), *more]
        return self._callable(value)

    def _mapping(self, value: Mapping[Any, Any]) -> Any:
        """Encode a dict: its pairs sorted, or as they are if their order counts and is another one."""
        pairs = [[self.encode(key), self.encode(item)] for key, item in value.items()]
        in_order = sorted(pairs, key=lambda pair: canonical(pair[0]))  # values may be large, and keys differ
        return ["dict", *in_order] if not self._ordered or pairs == in_order else ["ordered dict", *pairs]

    def _callable(self, value: object) -> Any:
        """Encode functions, methods and classes of libraries by name; all else by what it is made of."""
        if isinstance(value, functools.partial) and type(value) is functools.partial:
            return ["partial", self.encode(value.func), self.encode(value.args), self.encode(value.keywords)]
        if isinstance(value, MethodType):
            return ["method", self.encode(value.__func__), self.encode(value.__self__)]
        if is_cache(value) and not given_attributes(value) and not holds_results(value):
            return self.encode(value.__wrapped__)  # type: ignore[attr-defined]  # functools.cache changes no result
        if isinstance(value, BuiltinFunctionType) and not isinstance(value.__self__, (ModuleType, type(None))):
            return ["method", value.__name__, self.encode(value.__self__)]  # e.g. `allowed.__contains__`
        if isinstance(value, MethodDescriptorType):
            return ["method", value.__name__, self.encode(value.__objclass__)]
        if isinstance(value, MethodWrapperType):
            return ["method", value.__name__, self.encode(value.__self__)]
        name = public_name(value) if isinstance(value, (type, FunctionType, BuiltinFunctionType)) else ""
        if name:
            return ["name", name]
        array = cast("np.ndarray[Any, Any]", value)
        if type(value).__module__ == "numpy" and hasattr(value, "tobytes") and not array.dtype.hasobject:
            content = hashlib.sha256(array.tobytes()).hexdigest()
            return ["array", str(array.dtype), list(array.shape), content, *memory_order(array)]
        if type(value) is object:
            raise BadInput(_refusal(value))
        return _by_parts(value)


def _by_parts(value: object) -> Any:
    """Encode a function, class or object by all that it is made of and can reach."""
    label = getattr(value, "__qualname__", type(value).__qualname__)
    try:
        return ["code", str(label), object_code(value)]
    except RequestError as error:
        raise BadInput(_refusal(value), *(problem.message for problem in error.problems)) from error


def _refusal(value: object) -> str:
    """Return why a value is refused, and what to do."""
    return (
        f"a {type(value).__module__}.{type(value).__qualname__} can't be part of a key: use plain values, a frozen "
        f"dataclass, or give it an identity() method; value {value!r:.80}"
    )


def _is_plain(value: object) -> bool:
    """Return whether a container is of a type of the standard library that adds nothing to what is in it."""
    return type(value).__module__ in ("builtins", "types") or type(value) is OrderedDict


def _own_code(cls: type) -> list[Any]:
    """Return the code of a class of the user's own; nothing for Potstill's and library classes."""
    own = class_code(cls)
    return [["code", cls.__qualname__, own]] if own else []


def _identity(value: Identified) -> object:
    """Return what an object says it is.

    Raises:
        BadInput: it fails to say.
    """
    try:
        return value.identity()
    except PotstillError:
        raise
    except Exception as error:
        raise BadInput(f"identity() of a {type(value).__qualname__} raises {described(error)}") from error


def beside_fields(value: DataclassInstance) -> dict[str, Any]:
    """Return what an object of a user's dataclass holds beside its fields, where these don't tell it.

    What a frozen one holds it has made from its fields; from `InitVar`s too, if it has any.
    """
    cls = type(value)
    kinds = {str(getattr(one, "_field_type", "")) for one in cls.__dataclass_fields__.values()}
    if public_name(cls) or (cls.__dataclass_params__.frozen and "_FIELD_INITVAR" not in kinds):  # type: ignore[attr-defined]
        return {}
    held = {name: one for name, one in getattr(value, "__dict__", {}).items() if name not in cls.__dataclass_fields__}
    return {name: one for name, one in held.items() if not isinstance(_member(cls, name), functools.cached_property)}


def _member(cls: type, name: str) -> object:
    """Return a member of a class as it stands there, or None."""
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


def _moment(value: datetime | time) -> Any:
    """Encode a time; a zone of the user's own by what it is made of, as its `repr` need not tell."""
    zone = value.tzinfo
    own = zone is not None and not public_name(type(zone))
    return [type(value).__name__, repr(value), *([object_code(zone)] if own else [])]


def keyed_fields(value: DataclassInstance) -> list[tuple[str, Any]]:
    """Return the fields of a dataclass that its key covers: all but those that its `unkeyed` lists, and the name."""
    excluded: frozenset[str] = getattr(value, "unkeyed", frozenset())
    later: frozenset[str] = getattr(value, "unkeyed_defaults", frozenset())
    pairs = [
        (field, getattr(value, field.name))
        for field in dataclasses.fields(value)
        if field.name not in excluded and not field.metadata.get("unkeyed")
    ]
    # a field that came later changes no key from before while it holds its default
    return [(field.name, held) for field, held in pairs if field.name not in later or held != field.default]


def canonical(encoded: object) -> str:
    """Return the one JSON text of an encoded value."""
    return json.dumps(encoded, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def digest(value: object) -> str:
    """Return the digest of any value that can be encoded."""
    return digest_encoded(encode(value))


def digest_encoded(encoded: object) -> str:
    """Return the digest of a value that is encoded already."""
    return hashlib.sha256(canonical(encoded).encode()).hexdigest()[:KEY_LENGTH]


_SCALARS: Mapping[type, Callable[[Any], Any]] = {
    str: lambda value: ["str", value],
    bool: lambda value: ["bool", value],
    int: lambda value: ["int", str(value)],
    float: lambda value: ["float", value.hex()],
    type(None): lambda value: ["none"],
    bytes: lambda value: ["bytes", value.hex()],
    ByContent: lambda value: ["identity", "ByContent", ["dict", [["str", "content"], ["str", value.digest]]]],
    **dict.fromkeys((datetime, time), _moment),
    **dict.fromkeys((date, timedelta, Decimal), lambda value: [type(value).__name__, repr(value)]),
}
"""How values without parts are encoded."""
