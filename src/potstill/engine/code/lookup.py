"""What the names in code stand for: the live objects behind globals, attributes of modules, builtins and imports."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from potstill.engine.code import modules
from potstill.engine.code.names import Chain, Import, Names
from potstill.engine.code.origins import is_first_party, is_own_module, is_own_name, known_as, module_file, public_name
from potstill.engine.code.walk import Encoded, Walk
from potstill.moved import namesake

_PLACE = frozenset({"__file__", "__name__", "__spec__", "__package__", "__path__", "__loader__", "__cached__"})
"""Variables of a module that say where it lies, which changes no result."""
_BY_NAME = frozenset(
    {
        "builtins.eval",
        "builtins.exec",
        "builtins.globals",
        "gc.get_objects",
        "sys._getframe",
        "inspect.currentframe",
        "inspect.stack",
        "inspect.getmodule",
        "_pickle.loads",
        "_pickle.load",
        "_pickle.Unpickler",
    }
)
_BY_IMPORT = frozenset(
    {
        "builtins.__import__",
        "importlib.import_module",
        "runpy.run_path",
        "runpy.run_module",
        "importlib.util.spec_from_file_location",
        "pkgutil.iter_modules",
        "importlib.util.find_spec",
        "pkgutil.walk_packages",
        "pkgutil.resolve_name",
        "pydoc.locate",
    }
)
_MACHINE = frozenset({"sys", "os", "posix", "platform", "time", "socket", "getpass", "site", "sysconfig", "tempfile"})
"""Modules whose plain values say where a program runs, not what it does."""
_SCALARS = (str, bytes, int, float, bool, complex, type(None))


def note_dynamic(walk: Walk, name: str) -> None:
    """Note what the use of a function by this name means: code that looks names up when it runs."""
    if name in _BY_NAME:
        walk.flag("names")
    elif name in _BY_IMPORT:
        walk.flag("names")
        walk.flag("imports")


def globals_of(walk: Walk, function: FunctionType, names: Names, label: str) -> Iterator[Encoded]:
    """Yield (name, what stands for it) for the globals that a function names."""
    for chain in names.globals:
        yield follow_global(walk, function.__globals__, chain, label)


def follow_global(walk: Walk, space: dict[str, Any], chain: Chain, label: str) -> Encoded:
    """Return what stands for a chain of names that starts with a global or a builtin."""
    name, *attributes = chain
    if name in space:
        value = space[name]
        if name in _PLACE:
            return [name]
        if name == "__builtins__":
            walk.flag("names")
            return [name]
        if isinstance(value, ModuleType):
            return [name, *follow(walk, value, tuple(attributes), label)]
        return [name, walk.named(value, name, space)]
    return [name, _builtin(walk, name)]


def follow(walk: Walk, module: ModuleType, chain: Chain, label: str) -> Encoded:
    """Return what stands for attributes taken from a module, one after the other."""
    if not is_own_module(module):
        return [".".join(chain), _of_library(walk, module, chain)]
    if not chain:
        return ["", modules.whole(walk, module)]
    name, *rest = chain
    space = vars(module)
    walk.spaces.setdefault(id(space), space)
    if name == "__dict__":
        return ["", modules.whole(walk, module)]
    if name == "__path__":
        return [name, *modules.package(walk, module.__name__)]
    if name in _PLACE:
        return [name]
    # a submodule may be loaded and not, or no longer, be an attribute of its package
    value = space[name] if name in space else sys.modules.get(f"{module.__name__}.{name}")
    if isinstance(value, ModuleType):
        return [name, *follow(walk, value, tuple(rest), label)]
    if name in space:
        return [name, walk.named(value, name, space)]
    if "__getattr__" in space:  # it may look at any of the names
        walk.flag("names")
        return [name, modules.whole(walk, module), walk.encode(getattr(module, name, None), label)]
    return [name, ["missing"]]


def _builtin(walk: Walk, name: str) -> Encoded:
    """Return what stands for a builtin: its name, or what the user put there."""
    space = vars(builtins)
    if name not in space:
        return ["missing"]
    value = space[name]
    own = not (isinstance(value, (BuiltinFunctionType, type)) or type(value).__module__ == "_sitebuiltins")
    if own or value.__module__ not in ("builtins", "io", "_io", "_sitebuiltins"):
        return walk.named(value, name, space)
    note_dynamic(walk, f"builtins.{name}")
    return ["builtin"]


def _of_library(walk: Walk, module: ModuleType, chain: Chain) -> Encoded:
    """Return what stands for an attribute of a library: its name, and what the user put there."""
    owner, name = module, known_as(module.__name__)
    value: Any = module
    for attribute in chain:
        value = namesake(value, attribute)
        if not isinstance(value, ModuleType) or attribute not in vars(value):
            break
        owner, value, name = value, vars(value)[attribute], attribute
    named = chain[:1] == ("__dict__",) or (not chain and "modules" in walk.words)  # as in getattr(sys, "modules")
    if value is sys.modules or (module is sys and named):
        walk.flag("names")
    path = f"{known_as(owner.__name__)}.{name}" if value is not owner else name
    if _is_put_there(value):
        return walk.named(value, path, owner)
    note_dynamic(walk, public_name(value) or path)
    plain = type(value) in _SCALARS and not name.startswith("__") and owner.__name__ not in _MACHINE
    return ["library", path, repr(value)] if plain else ["library", path]


def _is_put_there(value: object) -> bool:
    """Return whether a library's attribute is something of the user's."""
    if isinstance(value, MethodType):
        return _is_put_there(value.__func__) or _is_put_there(value.__self__)
    if isinstance(value, FunctionType):
        return is_first_party(value.__code__.co_filename) or not public_name(value)
    if isinstance(value, ModuleType):
        return is_own_module(value)
    kind = value if isinstance(value, type) else type(value)
    return is_own_name(kind.__module__)


def compiled(walk: Walk, value: object) -> Encoded | None:
    """Return what stands for something of a compiled module of the user's: its name and the bytes of the file."""
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    file = module_file(module) if module is not None else None
    if module is None or file is None or file.endswith((".py", ".pyc")) or not is_first_party(file):
        return None
    return ["compiled", getattr(value, "__qualname__", ""), modules.whole(walk, module)]


def imports_of(walk: Walk, function: FunctionType, names: Names, label: str) -> list[Encoded]:
    """Return what stands for the imports in a function's body, and for packages it imports from by a computed name."""
    imports = [_import(walk, one, function.__globals__, label) for one in names.imports]
    for package in names.packages:
        imports.append(["package", package, *modules.package(walk, package)])
    return imports


def _import(walk: Walk, one: Import, space: dict[str, Any], label: str) -> Encoded:
    """Return what stands for one import."""
    name = "." * one.level + one.load
    try:
        package = space.get("__package__") or str(space.get("__name__", "")).rpartition(".")[0]
        load = importlib.util.resolve_name(name, package)
        base = load if one.base == one.load else one.base
    except (ImportError, ValueError):
        return [name, ["missing"]]
    loaded = modules.imported(walk, load)
    if loaded is None:
        return [name, ["not there or not importable"], *modules.unimported(walk, load)]
    module = sys.modules.get(base, loaded)
    if one.attribute and one.attribute not in vars(module):
        modules.imported(walk, f"{base}.{one.attribute}")
    if is_own_module(module):
        walk.spaces.setdefault(id(vars(module)), vars(module))
    start = (one.attribute,) if one.attribute else ()
    return [name, one.attribute, *(follow(walk, module, (*start, *chain), label) for chain in one.uses)]
