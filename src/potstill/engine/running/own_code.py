"""Whether a step holds code that is not Potstill's: its class, a function, an object of another class."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import date, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from types import NoneType
from typing import cast

from potstill.engine.step import Output, Step

PLAIN = (str, int, float, bool, bytes, NoneType, date, time, timedelta, Decimal)
"""Types of values without code; classes derived from them may have some."""


def holds_own_code(step: Step) -> bool:
    """Return whether running the step may run code of the user's own; when in doubt, it may."""
    fields = (getattr(step, field.name) for field in dataclasses.fields(step))
    return not _is_potstills(type(step)) or any(_is_code(value) for value in fields)


def is_unchangeable(step: Step) -> bool:
    """Return whether no parameter of the step can be changed by running it: they are plain values."""
    return all(_is_unchangeable(getattr(step, field.name)) for field in dataclasses.fields(step))


def _is_unchangeable(value: object) -> bool:
    """Return whether a value is plain, or a tuple of such; steps stand for what they have made."""
    if type(value) is tuple:
        return all(_is_unchangeable(item) for item in value)
    return isinstance(value, (Step, Output, PurePath)) or type(value) in PLAIN


def _is_code(value: object) -> bool:
    """Return whether a parameter is anything but data, or a dataclass of Potstill's that holds some."""
    if isinstance(value, (Step, Output)) or type(value) in PLAIN or isinstance(value, PurePath):
        return False
    if type(value) in (list, tuple, set, frozenset):
        return any(_is_code(item) for item in cast("Iterable[object]", value))
    if type(value) is dict:
        return any(_is_code(item) for pair in value.items() for item in pair)
    if dataclasses.is_dataclass(value) and _is_potstills(type(value)):
        return any(_is_code(getattr(value, field.name)) for field in dataclasses.fields(value))
    return True


def _is_potstills(cls: type) -> bool:
    """Return whether a class is Potstill's own."""
    return cls.__module__.partition(".")[0] == "potstill"
