"""Whole modules of the user's: their source and the state of their variables; and which modules lead to which."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from potstill.engine.code.origins import ENTRY, file_label, is_first_party, is_own_module, module_file
from potstill.engine.code.sources import module_source, parsed
from potstill.engine.code.syntax import module_text, sha
from potstill.engine.code.walk import Encoded, Walk
from potstill.engine.digests import file_digest

MACHINERY = frozenset(
    """
    __name__ __doc__ __package__ __loader__ __spec__ __file__ __cached__ __builtins__ __path__ __annotations__
    __warningregistry__ __conditional_annotations__
    """.split()
)
"""Variables that the interpreter gives every module."""
MOST_FILES = 2000
"""Python files of a project that are read where code imports by a computed name."""
_NO_SOURCE = frozenset({"node_modules", "__pycache__", "site-packages", "dist-packages"})


def whole(walk: Walk, module: ModuleType) -> Encoded:
    """Return what stands for a module of the user's as a whole: a part with its source and all its variables."""
    return walk.part(module, f"file {file_label(module.__name__, module_file(module))}", _whole)


def _whole(walk: Walk, module: ModuleType, label: str) -> Encoded:
    """Return what a module is made of."""
    space = vars(module)
    walk.spaces.setdefault(id(space), space)
    state = [[name, walk.named(space[name], name, space)] for name in sorted(space) if name not in MACHINERY]
    return ["module", _source(module_file(module), space), state]


def _source(file: str | None, space: dict[str, Any]) -> Encoded:
    """Return the digest of a module's source, or of its bytes if it is compiled."""
    if file is None:
        return ["no file"]
    source = module_source(file, space)
    if source is not None:
        return ["source", sha(module_text(source.tree))]
    return ["bytes", file_digest(Path(file))] if Path(file).is_file() else ["no file"]


def imported(walk: Walk, name: str) -> ModuleType | None:
    """Return the module called `name`; one of the user's is imported, as the code that names it will do."""
    if name in sys.modules:
        return sys.modules[name]
    try:
        spec = importlib.util.find_spec(name)
        own = spec is not None and any(map(is_first_party, [spec.origin, *(spec.submodule_search_locations or ())]))
        return importlib.import_module(name) if own else None
    except Exception:  # noqa: BLE001 - it will fail in the same way when the code runs, or be caught there
        return None


def unimported(walk: Walk, name: str) -> list[Encoded]:
    """Return the digests of the files of a module of the user's that can't be imported."""
    try:
        spec = importlib.util.find_spec(name)
    except Exception:  # noqa: BLE001 - its package can't be imported either
        return []
    if spec is None or spec.origin is None or not is_first_party(spec.origin) or not Path(spec.origin).is_file():
        return []
    return [["bytes", file_digest(Path(spec.origin))]]


def package(walk: Walk, name: str) -> list[Encoded]:
    """Return what stands for every module of a package, from which one is imported by a computed name."""
    root = imported(walk, name)
    if root is None or not is_own_module(root):
        return []
    names = {name}
    for folder in vars(root).get("__path__", ()):
        for path in sorted(Path(folder).iterdir()):
            if path.suffix == ".py" or (path.is_dir() and path.name.isidentifier() and path.name not in _NO_SOURCE):
                names.add(f"{name}.{path.stem}")
    names.discard(f"{name}.__init__")
    return [
        ["module", one, whole(walk, module) if module is not None else unimported(walk, one)]
        for one, module in ((one, imported(walk, one)) for one in sorted(names))
    ]


def named_by(walk: Walk, words: set[str], folder: str) -> None:
    """Add the modules and packages of the project that texts name, where code imports by a computed name."""
    for word in sorted(words):
        parts = word.split(".")
        if len(word) > 200 or not all(part.isidentifier() for part in parts):
            continue
        path = Path(folder, *parts)
        if path.with_suffix(".py").is_file():
            module = imported(walk, word)
            if module is not None and is_own_module(module):
                whole(walk, module)
        elif path.is_dir() and path.name not in _NO_SOURCE:
            package(walk, word)


def reachable(spaces: list[dict[str, Any]], *, unnamed: bool = True) -> list[ModuleType]:
    """Return the user's modules that modules with these variables import, directly or through others, by name.

    Without `unnamed`, those below a package that only others have imported are left out.
    """
    reached: dict[str, ModuleType] = {}
    seen: set[str] = set()
    waiting = [str(space.get("__name__")) for space in spaces]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        module = sys.modules.get(name)
        if module is None or not is_own_module(module):
            continue
        reached[name] = module
        if "." in name:
            waiting.append(name.rpartition(".")[0])
        held = [value.__name__ for value in vars(module).values() if isinstance(value, ModuleType)]
        waiting += [one for one in held if unnamed or not one.startswith(f"{name}.")]
        waiting += _imports(module)
    return [reached[name] for name in sorted(reached)]


def _imports(module: ModuleType) -> tuple[str, ...]:
    """Return the names of the modules that a module's source imports, wherever it does."""
    file = module_file(module)
    source = module_source(file, vars(module)) if file is not None and file.endswith(".py") else None
    return imported_names(source.tree, vars(module).get("__package__") or "") if source is not None else ()


@lru_cache(maxsize=4096)
def imported_names(tree: ast.Module, package_name: str) -> tuple[str, ...]:
    """Return the names of the modules that the source of a module in `package_name` imports."""
    names: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= dict.fromkeys(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            try:
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), package_name)
            except (ImportError, ValueError):
                continue
            names |= dict.fromkeys([base, *(f"{base}.{alias.name}" for alias in node.names)])
    return tuple(names)


def project_sources(walk: Walk, folder: str) -> Encoded:
    """Return the digest of every Python file below the project's folder, by path: any of them may be imported."""
    sources: list[list[str]] = []
    entry = module_file(sys.modules["__main__"])
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and name not in _NO_SOURCE and not (Path(here) / name / "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            if name.endswith(".py"):
                path = Path(here) / name
                source = parsed(str(path))
                text = sha(module_text(source.tree)) if source is not None else file_digest(path)
                sources.append([ENTRY if str(path) == entry else str(path.relative_to(folder)), text])
        if len(sources) > MOST_FILES:
            return walk.refuse(
                folder,
                "",
                f"code imports modules by a computed name, and {folder} has more than {MOST_FILES} Python files that "
                'it may mean: name the module or its package in the code, as in import_module("plugins." + name)',
            )
    return ["sources", sorted(sources)]


def raw(module: ModuleType) -> str:
    """Return the digest of a module's text as it is written, for code that reads source."""
    file = module_file(module)
    source = module_source(file, vars(module)) if file is not None else None
    return sha(source.text) if source is not None else ""
