"""Copies of rows that a user's function gets, so that what it changes in them is its own."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

_UNCHANGING = (str, int, float, bool, bytes, type(None))


def copied(value: object) -> Any:
    """Return a copy of a value at any depth; what can't be changed is not copied."""
    kind = type(value)
    if kind in _UNCHANGING:
        return value
    if type(value) is list:
        return [copied(item) for item in value]
    if isinstance(value, Mapping):
        return {key: copied(item) for key, item in value.items()}
    # slow, and right for anything: only for what is neither plain data nor a container of it
    return copy.deepcopy(value)
