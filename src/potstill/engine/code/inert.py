"""Things whose state is none of a result's: locks, loggers, threads, streams that are written; and what of them counts.

A subclass of the user's counts by its code, and by what it holds beside what its library's class keeps for itself.
"""

from __future__ import annotations

import contextvars
import io
import os
import sys
from types import FunctionType
from typing import TYPE_CHECKING, cast

from potstill.engine.code.origins import is_own_name, known_as, public_name
from potstill.engine.code.walk import Encoded, Walk

if TYPE_CHECKING:
    import queue

_COUNTING: dict[str, tuple[str, ...]] = {
    "_thread.lock": (),
    "_thread.RLock": (),
    "threading.Condition": (),
    "threading.Barrier": ("_parties", "_action"),
    "threading.Thread": ("_target", "_args", "_kwargs", "function", "args", "kwargs", "interval"),
    "threading.Event": ("_flag",),
    "threading.Semaphore": ("_value",),
    "logging.Logger": ("name",),
    "logging.Handler": (),
    "concurrent.futures._base.Executor": ("_initializer", "_initargs"),
    "ssl.SSLContext": (),
    "_ssl._SSLContext": (),
    "asyncio.events.AbstractEventLoop": (),
    "_abc._abc_data": (),
    "pydantic_core._pydantic_core.SchemaValidator": (),
    "pydantic_core._pydantic_core.SchemaSerializer": (),
    "pydantic.plugin._schema_validator.PluggableSchemaValidator": (),
    "pydantic._internal._mock_val_ser.MockValSer": (),
    "jinja2.utils.LRUCache": (),
    "_contextvars.Token": (),
    "potstill.pipeline.Pipeline": (),
    "warnings.catch_warnings": (),
    "rich.console.Console": (),
    "tqdm.std.tqdm": (),
    "_json.Scanner": (),
    "multiprocessing.context.BaseContext": (),
    "importlib._bootstrap.ModuleSpec": (),
    "_frozen_importlib.ModuleSpec": (),
}
"""Types, and the attributes of theirs that count. A scanner of JSON is made from its decoder, which is seen."""


def encode_inert(walk: Walk, value: object, label: str) -> Encoded | None:
    """Return what counts of a thing whose state can change no result otherwise; None for any other thing."""
    if isinstance(value, contextvars.Context):
        walk.remember(value, label)
        return ["context", *sorted((walk.encode(list(pair), label) for pair in value.items()), key=repr)]
    if f"{type(value).__module__}.{type(value).__qualname__}" == "_queue.SimpleQueue":
        return ["queue"] if cast("queue.SimpleQueue[object]", value).empty() else walk.refuse(value, label)
    if isinstance(value, io.IOBase):
        quiet = value in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__) or _only_writes(value)
        return ["inert", type(value).__qualname__] if quiet else None
    if value is os.environ or value is os.environb:
        return ["inert", "environment"]
    names = [f"{known_as(cls.__module__)}.{cls.__qualname__}" for cls in type(value).__mro__]
    counting = next((_COUNTING[name] for name in names if name in _COUNTING), None)
    return None if counting is None else _counted(walk, value, counting, label)


def _counted(walk: Walk, value: object, counting: tuple[str, ...], label: str) -> Encoded:
    """Return the attributes that count: those named and, in a class of the user's, those that no library writes."""
    cls = type(value)
    held = getattr(value, "__dict__", {})
    own = is_own_name(cls.__module__)
    logs = any(base.__module__ == "logging" for base in cls.__mro__)  # is kept by name, and may be given more to hold
    others = held.keys() - _written_by_libraries(cls) if own or logs else frozenset()
    state = {name: one for name, one in held.items() if name in counting or name in others}
    if isinstance(held.get("handlers"), list):  # a logger's
        state["handlers"] = [one for one in held["handlers"] if is_own_name(type(one).__module__)]
    state = {name: one for name, one in state.items() if one is not None}
    if not state and not own:
        return ["inert", cls.__qualname__]
    walk.remember(value, label)
    return ["inert", walk.encode(cls, label) if own else cls.__qualname__, *walk.encode_named(state, label)]


def _written_by_libraries(cls: type) -> frozenset[str]:
    """Return the names in the methods of the classes of libraries that a class is made from."""
    names: set[str] = set()
    for base in cls.__mro__:
        if public_name(base):
            methods = [one for one in vars(base).values() if isinstance(one, FunctionType)]
            names.update(*(method.__code__.co_names for method in methods))
    return frozenset(names)


def _only_writes(file: io.IOBase) -> bool:
    """Return whether nothing can be read from a stream: it is closed, or open for writing alone."""
    if isinstance(file, (io.StringIO, io.BytesIO)):
        return False
    try:
        return file.closed or (file.writable() and not file.readable())
    except (ValueError, OSError):
        return False
