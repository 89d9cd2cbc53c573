"""Whether running a step can leave a trace in its process that the next step of its class would find.

Options, patches, seeds and contexts of libraries are nowhere listed, so this asks the code: it leaves none if all that
it can reach is its own functions, plain values, and modules and builtins that keep no settings. When in doubt, it does.
"""

from __future__ import annotations

import builtins
import dis
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any, cast

from potstill.engine.code.origins import is_own_name
from potstill.engine.running.own_code import PLAIN

_PURE = frozenset(
    """
    __future__ base64 bisect collections copy dataclasses datetime difflib fractions functools hashlib heapq html
    itertools json math operator potstill re statistics string struct textwrap time typing unicodedata uuid
    """.split()
)
"""Modules that keep no settings; of a step's `__future__` and `typing` nothing is left when it runs."""
_BUILTINS = frozenset(
    """
    abs all any ascii bin bool bytearray bytes callable chr complex dict divmod enumerate filter float format frozenset
    hash hex int isinstance issubclass iter len list map max min next oct ord pow print range repr reversed round set
    slice sorted str sum tuple type zip
    """.split()
)
"""Builtins that change nothing but what they return."""
_SETTERS = frozenset(["setLevel", "addHandler", "removeHandler", "addFilter", "removeFilter"])
"""Methods of the one lasting object that a step is given: the context's logger."""
_STORES = frozenset({"STORE_ATTR", "DELETE_ATTR", "STORE_GLOBAL", "DELETE_GLOBAL", "IMPORT_STAR"})
_GENERATED = "<string>"
"""The file of methods that `dataclasses` writes."""


class Trace(Enum):
    """What running a step of a class can change of its process, beside what it returns."""

    NONE = "none"
    """Nothing."""
    CONTAINERS = "containers"
    """Lists, sets, dicts and closures of the user's own, all of which the class's key covers."""
    ANYTHING = "anything"
    """Perhaps what no key covers."""


def trace_of(cls: type) -> Trace:
    """Return what running a step of the class can change of its process."""
    seen: dict[int, Any] = {}
    own = [base for base in cls.__mro__ if not _is_pure(base.__module__) and base is not object]
    members = (member for base in own for name, member in vars(base).items() if not _is_machinery(name, member))
    if not all(_is_traceless(getattr(member, "__func__", member), seen) for member in members):
        return Trace.ANYTHING
    return Trace.CONTAINERS if any(map(_is_container, seen.values())) else Trace.NONE


def _is_container(value: object) -> bool:
    """Return whether a value can be changed in place, or is a function that can change what it closes over."""
    return isinstance(value, (list, set, dict)) or (isinstance(value, FunctionType) and value.__closure__ is not None)


def _is_machinery(name: str, member: object) -> bool:
    """Return whether a member of a class is what Python and `dataclasses` put there."""
    if isinstance(member, FunctionType):
        return member.__code__.co_filename == _GENERATED and name.startswith("__")
    return name.startswith(("__", "_abc_"))


def _is_traceless(value: object, seen: dict[int, Any]) -> bool:
    """Return whether code that can reach a value can change nothing lasting through it."""
    if type(value) in PLAIN or isinstance(value, re.Pattern) or id(value) in seen:
        return True
    seen[id(value)] = value
    if type(value) in (list, tuple, set, frozenset):
        return all(_is_traceless(item, seen) for item in cast("Iterable[object]", value))
    if type(value) is dict:
        return all(_is_traceless(item, seen) for pair in value.items() for item in pair)
    if isinstance(value, ModuleType):
        return _is_pure(value.__name__)
    if isinstance(value, property):
        return all(_is_traceless(part, seen) for part in (value.fget, value.fset, value.fdel))
    if isinstance(value, FunctionType):
        return _is_pure(value.__module__) or _is_traceless_function(value, seen)
    return isinstance(value, (type, BuiltinFunctionType)) and _is_pure(value.__module__ or "")


def _is_traceless_function(function: FunctionType, seen: dict[int, Any]) -> bool:
    """Return whether a function of the user's own can change nothing lasting."""
    held = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    held += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    variables = function.__globals__
    for code in _codes(function.__code__):
        for instruction in dis.get_instructions(code):
            name = str(instruction.argval)
            if instruction.opname in _STORES or name in _SETTERS:
                return False
            # by __globals__, __dict__ and their like, code reaches all there is
            if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD") and name.startswith("__"):
                return False
            if instruction.opname == "IMPORT_NAME" and not _is_pure(name):
                return False
            if instruction.opname not in ("LOAD_GLOBAL", "LOAD_NAME"):
                continue
            if name in variables:
                held.append(variables[name])
            elif name not in _BUILTINS and not _is_error(getattr(builtins, name, None)):
                return False
    return all(_is_traceless(value, seen) for value in held)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of a function and of all that is defined in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _is_filled(cell: CellType) -> bool:
    """Return whether a cell of a closure holds something."""
    try:
        return bool(cell.cell_contents is not cell)
    except ValueError:
        return False


def _is_error(value: object) -> bool:
    """Return whether a builtin is a class of errors."""
    return isinstance(value, type) and issubclass(value, BaseException)


def _is_pure(module: str) -> bool:
    """Return whether a module, by its name, is a library's that keeps no settings."""
    top = module.partition(".")[0]
    return (top in _PURE or top.lstrip("_") in _PURE) and not is_own_name(module)
