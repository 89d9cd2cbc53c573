"""What later Pythons call otherwise than 3.11: keys name it as 3.11 does, so that an upgrade computes nothing again.

Public classes and functions of the standard library move between its private modules from one version to the next.
"""

from __future__ import annotations

import contextlib
import threading
import typing
from typing import Any

_MODULES = {
    "pathlib._abc.PathBase": "pathlib.Path",
    "pathlib._abc.PurePathBase": "pathlib.PurePath",
    "importlib.resources._functional": "importlib.resources._legacy",
    "pathlib._local": "pathlib",
    "zipfile._path": "zipfile",
}
"""Modules and classes of 3.12 and later, and where 3.11 has what is in them."""
_NAMES = {
    "_decimal.getcontext": "decimal.getcontext",
    "_decimal.localcontext": "decimal.localcontext",
    "_decimal.setcontext": "decimal.setcontext",
    "_io.open": "io.open",
    "_io.open_code": "io.open_code",
    "_io.text_encoding": "io.text_encoding",
    "genericpath.islink": "posixpath.islink",
    "genericpath.lexists": "posixpath.lexists",
    "re.PatternError": "re.error",
}
"""Single names."""


def name_in_311(name: str) -> str:
    """Return what Python 3.11 calls a class or function of the standard library, by `module.name`."""
    for later, earlier in _MODULES.items():
        if name.startswith(f"{later}."):
            return earlier + name[len(later) :]
    return _NAMES.get(name, name)


def encoded_in_311(value: object) -> list[str] | None:
    """Return what stands for a value that is of another kind in 3.11; None for all others."""
    if value is typing.Annotated:
        return ["class", "typing.Annotated"]
    if value is threading.Lock:
        return ["name", "_thread.allocate_lock"]
    if getattr(value, "__name__", "") == "_path_normpath":
        return ["library", "posixpath.normpath"]
    return None


def arguments_in_311(value: object) -> list[Any]:
    """Return the arguments of a type expression without those that later Pythons fill in."""
    arguments = list(typing.get_args(value))
    contexts = (contextlib.AbstractContextManager, contextlib.AbstractAsyncContextManager)
    filled = typing.get_origin(value) in contexts and arguments[1:] == [bool | None]
    return arguments[:1] if filled else arguments
