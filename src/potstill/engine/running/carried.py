"""The user's modules as a run has them, for a process that imports them itself: those that its step may reach.

A heavy step runs in a process of its own, hours after its key was made. What it imports there of the user's files has
the text that the files had when the run began. The variables of these modules that hold data, or code from elsewhere,
have the values that they had in the run's process: the files may have been edited, what they read may have changed, and
the pipeline file may have put something into them.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from potstill.engine.code import sources
from potstill.engine.code.modules import reachable
from potstill.engine.code.origins import is_entry, is_own_module, is_own_name, module_file
from potstill.engine.running.own_code import holds_own_code
from potstill.engine.step import Output, Step


@dataclass(frozen=True)
class CarriedModule:
    """One module of the user's."""

    file: str
    """Where it was imported from."""
    is_package: bool
    """Whether it has modules below it."""
    text: str
    """Its source."""
    variables: Mapping[str, tuple[str, bytes]]
    """Digest and pickle of each variable that holds data."""


@dataclass(frozen=True)
class Carried:
    """Modules of the user's that a process has imported, but for the pipeline file, which travels with the step."""

    main: str | None
    """The pipeline file."""
    modules: Mapping[str, CarriedModule]
    """By name."""
    texts: Mapping[str, str]
    """Sources by file, also of files that no module was imported from yet."""


def carried(steps: Iterable[Step]) -> Carried:
    """Return the user's modules as they are now, those that code in `steps` may import."""
    modules: dict[str, CarriedModule] = {}
    for name, module in _reached([step for step in steps if holds_own_code(step)]).items():
        file = module_file(module)
        if file is None or not file.endswith(".py") or is_entry(name):
            continue
        source = sources.module_source(file, vars(module))
        if source is not None:
            modules[name] = CarriedModule(file, hasattr(module, "__path__"), source.text, _variables(module))
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    return Carried(main, modules, sources.texts())


def _reached(steps: Sequence[Step]) -> dict[str, ModuleType]:
    """Return by name the user's modules that `steps` reach by imports; all, where some import by a computed name."""
    if not steps:
        return {}
    starts = {"__main__", *(name for step in steps for name in _homes(step))}
    reached = {module.__name__: module for module in reachable([{"__name__": name} for name in starts], unnamed=False)}
    if not any(map(_computes_imports, reached.values())):
        return reached
    loaded = list(sys.modules.items())
    return {name: module for name, module in loaded if isinstance(module, ModuleType) and is_own_module(module)}


def _computes_imports(module: ModuleType) -> bool:
    """Return whether a module's source may import by a computed name."""
    file = module_file(module)
    source = sources.module_source(file, vars(module)) if file is not None else None
    return source is not None and bool(_COMPUTED.search(source.text))


def _homes(step: Step) -> Iterator[str]:
    """Yield the names of the modules in which the code of a step stands: its classes, and what its parameters hold."""
    yield from (base.__module__ for base in type(step).__mro__)
    for field in fields(step):
        yield from _homes_of(getattr(step, field.name))


def _homes_of(value: object) -> Iterator[str]:
    """Yield the names of the modules that define a value, its class, and what it holds."""
    if isinstance(value, (Step, Output)):
        return
    yield type(value).__module__
    home = getattr(value, "__module__", None)
    if isinstance(home, str):
        yield home
    if isinstance(value, Mapping):
        held: Iterable[Any] = (*value.keys(), *value.values())
    elif isinstance(value, (list, tuple, set, frozenset)):
        held = value
    elif is_dataclass(value) and not isinstance(value, type):
        held = [getattr(value, field.name) for field in fields(value)]
    else:
        return
    for item in held:
        yield from _homes_of(item)


def use(carried: Carried) -> None:
    """Let this process import the user's modules as another one had them."""
    global _used
    _used = carried
    # before the finders of files: these may have been edited since the run began
    sys.meta_path.insert(0, _Finder(carried))
    main = ModuleType("__main__")
    main.__file__ = carried.main
    # `potstill run` knows the pipeline file by the one name, `python FILE` by the other
    sys.modules["__main__"] = sys.modules["__mp_main__"] = main


def in_use(step: Step) -> Carried:
    """Return the user's modules that `step` needs as this process has them, or had them from another one."""
    return _used or carried([step])


def fill_main(cls: type) -> None:
    """Make what the methods of `cls` name in the pipeline file known as the main module's, for processes they start."""
    for member in vars(cls).values():
        if isinstance(member, FunctionType) and is_entry(member.__module__):
            variables = {name: value for name, value in member.__globals__.items() if not name.startswith("__")}
            vars(sys.modules["__main__"]).update(variables)


_used: Carried | None = None
_COMPUTED = re.compile(r"importlib|__import__|sys\.modules|pkgutil|runpy|\bexec\(|\beval\(")
"""What a module's source holds that imports by a computed name."""


class _Finder:
    """Finds the user's modules where another process had them."""

    def __init__(self, carried: Carried) -> None:
        """Serve what was carried."""
        self._carried = carried

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return where a module's source is: with us, if it is one of the user's."""
        module = self._carried.modules.get(fullname)
        if module is not None:
            loader = _Loader(fullname, module.file, module.text, module.variables)
            below = [str(Path(module.file).parent)] if module.is_package else None
            return importlib.util.spec_from_file_location(
                fullname, module.file, loader=loader, submodule_search_locations=below
            )
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        text = self._carried.texts.get(spec.origin or "") if spec is not None else None
        if spec is None or spec.origin is None or text is None:
            return None
        spec.loader = _Loader(fullname, spec.origin, text, {})
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    """Runs a module's source as another process had it, and gives its variables their values there."""

    def __init__(self, name: str, file: str, text: str, variables: Mapping[str, tuple[str, bytes]]) -> None:
        """Load the module `name`."""
        super().__init__(name, file)
        self._text = text
        self._variables = variables

    def get_code(self, fullname: str) -> CodeType:
        """Compile the text, not what the file or its bytecode cache holds now."""
        code: CodeType = compile(self._text, self.path, "exec", dont_inherit=True)
        return code

    def get_source(self, fullname: str) -> str:
        """Return the text."""
        return self._text

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then set the variables that came out otherwise."""
        super().exec_module(module)
        for path, (digest, blob) in self._variables.items():
            if _now(module, path) != digest:
                with contextlib.suppress(AttributeError):  # a class that is not there any more, or takes no values
                    _set(module, path, blob)


def _variables(module: ModuleType) -> dict[str, tuple[str, bytes]]:
    """Return digest and pickle of what a module and its classes hold, by name: data, and code from elsewhere."""
    import cloudpickle

    variables = {}
    for path, value in _held(module):
        digest = _digest(value)
        with contextlib.suppress(Exception):  # what can't be sent is as the module makes it
            if digest:
                variables[path] = (digest, bytes(cloudpickle.dumps(value)))
    return variables


def _held(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield (path, value) for what a module and its classes hold that may differ when it is imported again."""
    for name, value in list(vars(module).items()):  # a copy: a look at some values imports more
        if _is_changeable(name, value, module):
            yield name, value
        elif isinstance(value, type) and value.__module__ == module.__name__ and not issubclass(value, Enum):
            inner = list(vars(value).items())
            yield from ((f"{name}.{part}", held) for part, held in inner if _is_changeable(part, held, module))


def _is_changeable(name: str, value: object, module: ModuleType) -> bool:
    """Return whether a variable holds data, or a function or class of the user's that is not the module's own."""
    if name.startswith("__") or isinstance(value, (ModuleType, property, classmethod, staticmethod)):
        return False
    if isinstance(value, (FunctionType, type)):
        return value.__module__ != module.__name__ and is_own_name(value.__module__)
    return not hasattr(type(value), "__get__")


def _set(module: ModuleType, path: str, blob: bytes) -> None:
    """Give a variable its value; containers keep their identity, as other modules may hold them too."""
    import cloudpickle

    owner, _, name = path.rpartition(".")
    holder = getattr(module, owner) if owner else module
    value, old = cloudpickle.loads(blob), vars(holder).get(name)
    if isinstance(old, (dict, set)) and type(old) is type(value):
        old.clear()
        old.update(value)
    elif isinstance(old, list) and type(old) is type(value):
        old[:] = value
    else:
        setattr(holder, name, value)


def _now(module: ModuleType, path: str) -> str:
    """Return the digest of what a variable holds, or nothing where it is not there."""
    owner, _, name = path.rpartition(".")
    holder = getattr(module, owner, None) if owner else module
    return _digest(vars(holder)[name]) if holder is not None and name in vars(holder) else ""


def _digest(value: object) -> str:
    """Return the digest of a value's content, or nothing where it has none."""
    from potstill.engine.encoding import digest

    try:
        return digest(value)
    except Exception:  # noqa: BLE001 - what can't be part of a key isn't in one
        return ""
