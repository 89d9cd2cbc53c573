"""What objects are made of: their class, and the state that `identity()`, their attributes or `pickle` give."""

from __future__ import annotations

import contextlib
import copyreg
import dataclasses
import io
import sys
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from potstill.engine.code.functions import WRAPPERS
from potstill.engine.code.origins import MADE_BY_CODE, is_own_name, known_as, public_name
from potstill.engine.code.plain import encode_set
from potstill.engine.code.walk import Encoded, Walk
from potstill.engine.signatures import parameters
from potstill.errors import PotstillError

if TYPE_CHECKING:
    import functools

    from _typeshed import DataclassInstance

_CAN_BE_A_BASE = 1 << 10
"""Flag of classes that others can be derived from, as from all of the user's."""
_CONTENT = (dict, list, tuple, set, frozenset, str, bytes, bytearray, int, float, complex)
_UNSEEN = frozenset(
    """
    __weakref__ __dict__ __pydantic_validator__ __pydantic_serializer__ __pydantic_core_schema__ __pydantic_fields_set__
    core_schema validator serializer _parent_depth _cached_hash ns_resolver _parent_namespace
    __return_pydantic_validator__
    """.split()
)
"""Attributes that are machinery or are computed from the others."""
_CACHED_PROPERTY = ("func", "attrname", "lock")
"""Attributes of `functools.cached_property`; 3.12 has no lock any more."""
_FILES = (io.TextIOWrapper, io.BufferedReader, io.BufferedRandom, io.BufferedRWPair, io.FileIO)
"""Files that may be read; a subclass of the user's is no less one."""


def encode_object(walk: Walk, value: object, label: str) -> Encoded:
    """Return what stands for an object of any class."""
    cls = type(value)
    own = not public_name(cls) and bool(cls.__flags__ & MADE_BY_CODE)
    if callable(value) and public_name(value):
        return ["library", public_name(value)]
    if not own:
        place = _place_in_library(value, cls)
        if place:
            return ["library", place]
        if _holds_resources(cls):
            return walk.refuse(value, label)
    if isinstance(value, _FILES):
        return walk.refuse(value, label)
    walk.remember(value, label)
    named = walk.encode(cls, label)
    identity = _identity(value, cls)
    if identity is not None:
        return ["identity", named, walk.encode(identity, label)]
    if cls.__module__.partition(".")[0] == "potstill" and dataclasses.is_dataclass(value):
        return ["object", named, walk.encode_named(_keyed(cast("DataclassInstance", value)), label)]
    dispatched = _dispatcher(walk, value, label)
    if dispatched is not None:
        return dispatched
    raised = _raised_from(walk, value, label)
    if own or _is_plain_python(cls):
        return ["object", named, *_state(walk, value, cls, label), *raised]
    return [*_reduced(walk, value, named, label), *raised]


def own_kind(walk: Walk, value: object, label: str) -> list[Encoded]:
    """Return the class and attributes of a thing of a known kind whose class is the user's; nothing for all others."""
    cls = type(value)
    is_users = cls.__flags__ & MADE_BY_CODE and cls.__flags__ & _CAN_BE_A_BASE
    if isinstance(value, (type, threading.local)) or public_name(cls) or not is_users:
        return []
    walk.remember(value, label)
    held = {} if isinstance(value, ModuleType) else _attributes(value, cls)  # those of a module are its names
    attributes = {name: one for name, one in held.items() if name not in (*WRAPPERS, *_CACHED_PROPERTY)}
    return [["of", walk.encode(cls, label), *walk.encode_named(attributes, label)]]


def _raised_from(walk: Walk, value: object, label: str) -> list[Encoded]:
    """Return the exceptions that an exception came from, which `pickle` leaves out; nothing where there are none."""
    if not isinstance(value, BaseException) or (value.__cause__ is None and value.__context__ is None):
        return []
    before = walk.encode_all((value.__cause__, value.__context__), label)
    return [["raised from", *before, value.__suppress_context__]]


def _place_in_library(value: object, cls: type) -> str:
    """Return the name under which the library that defines a class keeps this object of it, or nothing."""
    module = sys.modules.get(cls.__module__)
    if module is None or is_own_name(cls.__module__) or cls.__module__ == "builtins":
        return ""
    return next((f"{known_as(cls.__module__)}.{name}" for name, member in vars(module).items() if member is value), "")


def identity_method(cls: type) -> Callable[[Any], Any] | None:
    """Return the `identity` method of a class if it takes nothing but the object, or None."""
    method = getattr(cls, "identity", None)
    if not callable(method):
        return None
    try:
        needed = [p for p in parameters(method).values() if p.default is p.empty]
    except (TypeError, ValueError):
        return None
    return method if len(needed) == 1 else None


def _identity(value: object, cls: type) -> Any:
    """Return what an object says it is, or None; a teacher that is not there yet is what it was made from."""
    method = identity_method(cls)
    if method is None:
        return None
    try:
        return method(value)
    except PotstillError:
        return None


def _keyed(value: DataclassInstance) -> dict[str, Any]:
    """Return the fields of one of Potstill's own objects that count."""
    excluded = {*getattr(value, "unkeyed", ()), "name"}
    fields = [field for field in dataclasses.fields(value) if not field.metadata.get("unkeyed")]
    return {field.name: getattr(value, field.name) for field in fields if field.name not in excluded}


def _dispatcher(walk: Walk, value: object, label: str) -> Encoded | None:
    """Return what stands for the function of `singledispatchmethod`; None for anything else."""
    if type(value).__name__ != "singledispatchmethod":  # asked first: a mock has a dispatcher, and one more each time
        return None
    method = cast("functools.singledispatchmethod[Any]", value)
    return ["dispatch", walk.encode(method.func, label), walk.encode(method.dispatcher, label)]


def _is_plain_python(cls: type) -> bool:
    """Return whether the state of an object is its attributes and nothing else."""
    reducers = ("__reduce__", "__reduce_ex__", "__getstate__", "__getnewargs__", "__getnewargs_ex__")
    plain = all(getattr(cls, name, None) is getattr(object, name, None) for name in reducers)
    return plain and cls not in copyreg.dispatch_table and bool(cls.__dictoffset__) and not issubclass(cls, _CONTENT)


def _state(walk: Walk, value: object, cls: type, label: str) -> list[Encoded]:
    """Return what an object holds: the content of the builtin it is a kind of, and its attributes."""
    attributes = {name: one for name, one in _attributes(value, cls).items() if name not in _UNSEEN}
    content = next((kind for kind in _CONTENT if issubclass(cls, kind)), None)
    parts: list[Encoded] = [] if content is None else [["as", content.__name__, *_content(walk, value, content, label)]]
    if content is None and not attributes and not cls.__dictoffset__ and not _has_slots(cls):
        return [_reduced(walk, value, [], label)]
    base = next((base for base in cls.__mro__ if public_name(base) and base is not object), None)
    # what C holds beside the attributes shows in `__reduce_ex__` alone
    hidden = base is not None and not _is_plain_python(base) and (not base.__dictoffset__ or _has_hidden_state(cls))
    if content is None and hidden:
        parts.append(_reduced(walk, value, [], label))
    factory = getattr(value, "default_factory", None) if content is dict else None
    if factory is not None:
        parts.append(["factory", walk.encode(factory, label)])
    if public_name(cls):
        walk.texts[f"{label} (text of a {cls.__name__})"] = str(
            attributes.pop("__doc__", None)
        )  # as np.vectorize copies it
    if public_name(cls) == "numpy.vectorize":
        attributes["_ufunc"] = {}  # what calls have filled, from the function
    return [*parts, *walk.encode_named(attributes, label)]


def _has_hidden_state(cls: type) -> bool:
    """Return whether a class is made from one in C whose objects hold more than attributes, and can be pickled."""
    if issubclass(cls, io.IOBase) and not issubclass(cls, (io.StringIO, io.BytesIO)):
        return False
    roots = [base for base in cls.__mro__ if base.__base__ is object and "__slots__" not in vars(base)]
    return any(root.__basicsize__ > object.__basicsize__ for root in roots)


def _has_slots(cls: type) -> bool:
    """Return whether objects of a class have slots, or nothing at all, as their state."""
    return all("__slots__" in vars(base) or base is object or not base.__flags__ & MADE_BY_CODE for base in cls.__mro__)


def _attributes(value: object, cls: type) -> dict[str, Any]:
    """Return the attributes of an object by name, those in slots included."""
    attributes: dict[str, Any] = {}
    # as pickle does: with the names of private slots mangled
    for name in copyreg._slotnames(cls) or ():  # type: ignore[attr-defined]
        try:
            # past the class's own __getattribute__, which may compute, log or refuse
            attributes[name] = object.__getattribute__(value, name)
        except AttributeError:
            continue
    with contextlib.suppress(AttributeError):
        attributes |= object.__getattribute__(value, "__dict__")
    return attributes


def _content(walk: Walk, value: Any, kind: type, label: str) -> list[Any]:
    """Return the content of an object of a subclass of a builtin."""
    if kind is dict:
        # the builtin's own method here and below: a subclass may override it, and give something else
        return [[walk.encode(key, label), walk.encode(item, label)] for key, item in dict.items(value)]
    if kind in (set, frozenset):
        return encode_set(walk, kind.__iter__(value), label, value)
    if kind in (list, tuple):
        return walk.encode_all(kind.__iter__(value), label)
    if kind is str:
        return [str.__str__(value)]
    if kind in (bytes, bytearray):
        return [bytes(value).hex()]
    return [kind.__repr__(value)]  # type: ignore[call-arg]


def _reduced(walk: Walk, value: object, named: Encoded, label: str) -> Encoded:
    """Return what stands for an object of a library as `pickle` would take it apart."""
    try:
        # protocols 0 and 1 refuse objects with slots
        reduced = value.__reduce_ex__(4)
    except Exception:  # noqa: BLE001 - whatever it raises, there is no state to see
        return _opened(walk, value, named, label)
    if isinstance(reduced, str):
        return ["object", named, reduced]
    function, arguments, *rest = reduced
    parts: Encoded = ["object", named, walk.encode(function, label), *walk.encode_all(arguments, label)]
    state, items, pairs = (*rest, None, None, None)[:3]
    if isinstance(state, tuple) and len(state) == 2 and all(isinstance(half, (dict, type(None))) for half in state):
        state = {**(state[0] or {}), **(state[1] or {})}  # attributes and slots
    if isinstance(state, Mapping):
        state = {name: one for name, one in state.items() if name not in _UNSEEN}
        parts += [["state", *walk.encode_named(dict(state), label)] if all(map(_is_text, state)) else ["state"]]
    else:
        parts.append(["state", walk.encode(state, label)])
    parts.append(["items", *walk.encode_all(items or (), label)])
    return [*parts, ["pairs", *([walk.encode(k, label), walk.encode(v, label)] for k, v in pairs or ())]]


def _is_text(name: object) -> bool:
    """Return whether a name is a text."""
    return isinstance(name, str)


def _opened(walk: Walk, value: object, named: Encoded, label: str) -> Encoded:
    """Return what stands for an object that can't be pickled: its attributes, if it has nothing else."""
    attributes = {name: one for name, one in _attributes(value, type(value)).items() if name not in _UNSEEN}
    if not attributes:
        return walk.refuse(value, label)
    return ["object", named, *walk.encode_named(attributes, label)]


def _holds_resources(cls: type) -> bool:
    """Return whether objects of a class stand for something outside of the program: a file or running code."""
    # frames: of generators, coroutines and asynchronous generators that are under way
    names = ("fileno", "gi_frame", "cr_frame", "ag_frame")
    return any(hasattr(cls, name) for name in names) and not issubclass(cls, (io.StringIO, io.BytesIO))
