"""What stands for things of the standard library that hold a value: patterns, references, cells, times with a zone."""

from __future__ import annotations

import contextvars
import functools
import gc
import itertools
import operator
import re
import struct
import threading
import types
import weakref
from datetime import datetime, time
from typing import TYPE_CHECKING, cast

from potstill.engine.code.plain import encode_set
from potstill.engine.code.walk import Encoded, Walk

if TYPE_CHECKING:
    import hashlib

_SHOWN = frozenset({str, bytes, int, float, bool, complex, type(None), type})
"""Types of values that an iterator's `repr` shows in full."""
_COMPARED = type(functools.cmp_to_key(lambda one, other: 0))


def encode_held(walk: Walk, value: object, label: str) -> Encoded | None:
    """Return what stands for a thing of the standard library that holds a value; None for anything else."""
    for encode in (_text, _reference, _variable):
        encoded = encode(walk, value, label)
        if encoded is not None:
            return encoded
    if isinstance(value, (itertools.count, itertools.repeat)):
        # C objects without attributes: only the garbage collector knows what they refer to
        referents = [one for one in gc.get_referents(value) if type(one) not in _SHOWN]
        times = operator.length_hint(value, -1) if referents else repr(value)
        return ["iterator", times, *walk.encode_all(referents, label)]
    if type(value) is datetime or type(value) is time:
        return [type(value).__name__, repr(value.replace(tzinfo=None)), walk.encode(value.tzinfo, label)]
    if type(value) is _COMPARED:  # its function is in no attribute; later Pythons also show the type
        referents = [one for one in gc.get_referents(value) if one is not _COMPARED]
        return ["compared by", *walk.encode_all(referents, label)]
    return None


def _text(walk: Walk, value: object, label: str) -> Encoded | None:
    """Return a pattern, a match, a format of bytes, bytes in place, or a digest that is being taken."""
    if isinstance(value, re.Pattern):
        return ["pattern", walk.encode(value.pattern, label), value.flags]
    if isinstance(value, re.Match):
        spans = [list(span) for span in value.regs]
        return ["match", walk.encode(value.re, label), walk.encode(value.string, label), value.pos, value.endpos, spans]
    if type(value) is struct.Struct:
        return ["format", value.format]
    if isinstance(value, memoryview):
        return ["view", value.format, list(value.shape or ()), walk.encode(value.tobytes(), label)]
    # SHAKE, a XOF, has no digest without a length
    if type(value).__module__ in ("_hashlib", "_blake2", "_sha3") and not type(value).__name__.endswith("XOF"):
        taken = cast("hashlib._Hash", value)
        return ["digest", taken.name, taken.hexdigest()]
    return None


def _reference(walk: Walk, value: object, label: str) -> Encoded | None:
    """Return a weak reference or a collection of such."""
    if isinstance(value, weakref.ref):
        called = [walk.encode(value.__callback__, label)] if value.__callback__ is not None else []
        return ["reference", walk.encode(value(), label), *called]
    if isinstance(value, weakref.finalize):
        return ["at the end of", walk.encode(value.peek(), label)]
    if isinstance(value, (weakref.WeakSet, weakref.WeakKeyDictionary, weakref.WeakValueDictionary)):
        walk.remember(value, label)
        items = list(value) if isinstance(value, weakref.WeakSet) else list(value.items())
        return ["weak", *encode_set(walk, items, label, value)]
    return None


def _variable(walk: Walk, value: object, label: str) -> Encoded | None:
    """Return what a variable of a context, thread or function holds here."""
    if isinstance(value, threading.local):
        walk.remember(value, label)
        return ["local", walk.encode(type(value), label), *walk.encode_named(dict(vars(value)), label)]
    if isinstance(value, contextvars.ContextVar):
        try:
            return ["variable", value.name, walk.encode(value.get(), label)]
        except LookupError:
            return ["variable", value.name]
    if isinstance(value, types.CellType):
        walk.remember(value, label)
        try:
            return ["cell", walk.encode(value.cell_contents, label)]
        except ValueError:
            return ["cell"]
    return None
