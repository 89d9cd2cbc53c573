"""The parameters of functions, read once: every step of a class asks for those of the same few."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any


@lru_cache(maxsize=4096)
def parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a function by name.

    Raises:
        TypeError: it is not one.
        ValueError: it does not say what it takes.
    """
    return inspect.signature(function).parameters
