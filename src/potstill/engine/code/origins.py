"""Where code comes from: the user's own files, or Potstill, an installed library and the interpreter."""

from __future__ import annotations

import functools
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from potstill.engine.code.pythons import name_in_311
from potstill.moved import HOME, MOVED

_LIBRARIES = tuple({f"{Path(sysconfig.get_path(name)).resolve()}/" for name in ("stdlib", "platlib", "purelib")})
_OWN = f"{HOME}/"
_GENERATED = ("<frozen", "<attrs generated", "<template>", "<array_function internals>", "<decorator-gen")
"""Beginnings of the file names that the interpreter and libraries give to code that they write themselves."""
MADE_BY_CODE = 1 << 9
"""Flag of classes that a `class` statement or a call made, not a table in C."""
ENTRY = "the pipeline's file"
"""What the file that is run is called in a key: its name and place change no result."""


@functools.lru_cache(maxsize=4096)
def is_first_party(file: str | None) -> bool:
    """Return whether code in `file` is the user's own: neither Potstill nor an installed library."""
    if file is None or file.startswith(_GENERATED):
        return False
    path = str(Path(file).resolve()) if not file.startswith("<") else file
    return not path.startswith((*_LIBRARIES, _OWN)) and not {"site-packages", "dist-packages"} & set(path.split("/"))


def module_file(module: object) -> str | None:
    """Return the file of a module, or None; what `sys.modules` holds may be None, or any object."""
    file = _namespace(module).get("__file__")
    return file if isinstance(file, str) else None


def is_own_module(module: object) -> bool:
    """Return whether a module is the user's: a file of theirs, a folder of such files, or made by their code."""
    file = module_file(module)
    if file is not None:
        return is_first_party(file)
    folders = [str(folder) for folder in _namespace(module).get("__path__", ())]
    if folders:
        return any(is_first_party(folder) for folder in folders)
    name = _namespace(module).get("__name__")
    return name == "__main__" or (_namespace(module).get("__spec__") is None and name not in sys.builtin_module_names)


def is_own_name(module: object) -> bool:
    """Return whether the module called `module` is the user's; one that is not there was made by their code."""
    if not isinstance(module, str):
        return False
    loaded = sys.modules.get(module)
    return is_own_module(loaded) if loaded is not None else not module.startswith("_cython_")


def is_entry(name: str) -> bool:
    """Return whether a module is the pipeline's own file, by one of the names that it runs under."""
    return name in ("__main__", "__mp_main__") or name.startswith("potstill_pipeline_")


def home_of(module: object) -> str:
    """Return what keys call the module that a function or class says it is of."""
    return ENTRY if isinstance(module, str) and is_entry(module) else str(module)


def file_label(name: str, file: str | None) -> str:
    """Return what a module's file is called in a key: its path in the project, as its name gives it."""
    if is_entry(name):
        return ENTRY
    path = name.replace(".", "/")
    if file is None:
        return path
    stem = Path(file).name.partition(".")
    return f"{path}/__init__.py" if stem[0] == "__init__" else f"{path}{stem[1]}{Path(file).suffix.lstrip('.')}"


def public_name(value: object) -> str:
    """Return `module.name` of a class or function of a library that is found there, or nothing if it is not."""
    module, path = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(path, str) or is_own_name(module):
        return ""
    target: Any = sys.modules.get(module)
    for part in path.split("."):
        target = vars(target).get(part) if hasattr(target, "__dict__") else None
        target = target.__func__ if isinstance(target, (staticmethod, classmethod)) else target
    return name_in_311(f"{known_as(module)}.{path}") if target is value else ""


def known_as(module: str) -> str:
    """Return what keys call a module: the name that it had before it moved, if it is one of Potstill's that has."""
    return MOVED.get(module, module)


def _namespace(module: object) -> Mapping[str, Any]:
    """Return a module's variables; an object without any, which may stand in its place, has none."""
    space = getattr(module, "__dict__", None)
    return space if isinstance(space, Mapping) else {}
