"""What a user's own code does, as a digest a part: edits count, comments, docstrings and layout don't.

A function is its instructions plus every value it can see: helper functions (followed into the user's other modules),
module constants, captured variables, defaults. Where code looks names up at run time (`globals()`, `eval`, an import
inside the function) or holds a value that has no canonical form, the whole source of the module counts instead: a
result may then be made once too often, but never reused once too often.
"""

from __future__ import annotations

import ast
import dis
import functools
import hashlib
import importlib.util
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

DYNAMIC = frozenset({"globals", "locals", "vars", "eval", "exec", "__import__", "import_module"})
"""Names whose use means that a function may reach anything in its module."""
_LIBRARIES = tuple({f"{Path(sysconfig.get_path(name)).resolve()}/" for name in ("stdlib", "platlib", "purelib")})
_OWN = f"{Path(__file__).resolve().parent}/"


class Parts(dict[str, str]):
    """Digests by dotted name, and which objects were visited."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self._seen: set[int] = set()

    def claim(self, value: Any, label: str) -> str:
        """Return the name to file `value` under (two lambdas may share one label), or nothing if it was visited."""
        if id(value) in self._seen:
            return ""
        self._seen.add(id(value))
        number = sum(known == label or known.startswith(f"{label}#") for known in self)
        return f"{label}#{number + 1}" if number else label


def function_code(function: Callable[..., Any]) -> dict[str, str]:
    """Return the digests of all that `function` depends on, by dotted name; of library code, only its own."""
    parts = Parts()
    _visit(function, "", parts)
    inner = _unwrapped(function)
    if not parts and isinstance(inner, FunctionType):  # a library's: what it captured may still be the user's choice
        parts["instructions"] = _sha(_instructions(inner.__code__))
        for variable, cell in zip(inner.__code__.co_freevars, inner.__closure__ or (), strict=True):
            if _is_filled(cell):
                _visit(cell.cell_contents, variable, parts)
    return parts


def class_code(cls: type) -> dict[str, str]:
    """Return the digests of all that the methods of `cls` depend on; empty for Potstill's own and library classes."""
    parts = Parts()
    _visit(cls, "", parts)
    return parts


def is_first_party(file: str | None) -> bool:
    """Say whether code in `file` is the user's own: neither Potstill nor an installed library."""
    if file is None or file.startswith("<frozen"):
        return False
    path = str(Path(file).resolve()) if not file.startswith("<") else file
    return not path.startswith((*_LIBRARIES, _OWN)) and "site-packages" not in path


def _visit(value: Any, name: str, parts: Parts) -> None:
    """Add to `parts` what `value` (known in its module as `name`) is made of."""
    if isinstance(value, MethodType):
        _visit(value.__self__, f"{name}.self" if name else "", parts)
    value = _unwrapped(value)
    if isinstance(value, FunctionType):
        _visit_function(value, parts)
    elif isinstance(value, type):
        _visit_class(value, parts)
    elif isinstance(value, functools.partial):
        for part in (value.func, *value.args, *value.keywords.values()):
            _visit(part, name, parts)
    elif isinstance(value, ModuleType):
        return
    elif name:
        _visit_value(value, name, parts)


def _unwrapped(value: Any) -> Any:
    """Return the function inside a property, static, class or bound method, or decorator that keeps it."""
    if isinstance(value, property):
        return value.fget
    if isinstance(value, (staticmethod, classmethod)) or (hasattr(value, "__func__") and hasattr(value, "__self__")):
        return value.__func__
    return value.__wrapped__ if hasattr(value, "cache_info") and hasattr(value, "__wrapped__") else value


def _visit_function(function: FunctionType, parts: Parts) -> None:
    """Add a function's instructions, defaults, captured variables, and the globals that it names."""
    if not is_first_party(function.__code__.co_filename):
        return
    label = parts.claim(function, f"{function.__module__}.{function.__qualname__}")
    if not label:
        return
    parts[label] = _sha(_instructions(function.__code__))
    for index, default in enumerate([*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]):
        _visit(default, f"{label}.default{index}", parts)
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if variable != "__class__" and _is_filled(cell):
            _visit(cell.cell_contents, f"{label}.{variable}", parts)
    names = set(_names(function.__code__))
    _visit_globals(function, names, parts)
    if hasattr(function, "__wrapped__"):
        _visit(function.__wrapped__, label, parts)
    if names & DYNAMIC or ("getattr" in names and any(_is_own_module(function.__globals__.get(n)) for n in names)):
        _visit_source(function.__globals__.get("__file__"), parts)
    for imported in _imports(function.__code__):
        _visit_source(_module_file(imported), parts)


def _visit_globals(function: FunctionType, names: set[str], parts: Parts) -> None:
    """Follow the globals that a function names; of the user's own modules, the attributes that it names."""
    for name in sorted(names & function.__globals__.keys()):
        value = function.__globals__[name]
        if isinstance(value, ModuleType):
            if _is_own_module(value):
                for attribute in sorted(names & vars(value).keys()):
                    _visit(vars(value)[attribute], f"{value.__name__}.{attribute}", parts)
        else:
            _visit(value, f"{function.__module__}.{name}", parts)


def _visit_class(cls: type, parts: Parts) -> None:
    """Add the methods and constants of a class and of its first-party bases."""
    for base in cls.__mro__:
        label = parts.claim(base, f"{base.__module__}.{base.__qualname__}") if is_first_party(_class_file(base)) else ""
        if not label:
            continue
        parts[label] = "class"
        for name, member in sorted(vars(base).items()):
            inner = _unwrapped(member)
            if isinstance(inner, FunctionType) and inner.__code__.co_filename != "<string>":
                _visit(inner, name, parts)
            elif not name.startswith("__") and not isinstance(inner, FunctionType) and not _is_slot(inner):
                _visit(inner, f"{label}.{name}", parts)


def _visit_value(value: Any, name: str, parts: Parts) -> None:
    """Add a plain value by content; one without canonical form by the source of its module."""
    from potstill import keys, step  # keys encodes functions through this module

    if isinstance(value, (step.Step, step.Output)):
        return
    if hasattr(value, "pattern") and hasattr(value, "flags"):
        value = (value.pattern, value.flags)
    try:
        parts[name] = keys.digest(value)
    except Exception:  # noqa: BLE001 - whatever can't be encoded is covered by its source
        if type(value).__module__.startswith("potstill."):  # a pipeline, or a teacher that is not there
            return
        parts[name] = type(value).__qualname__
        _visit(type(value), name, parts)
        module = name.rsplit(".", 1)[0]
        _visit_source(getattr(sys.modules.get(module), "__file__", None), parts)


def _visit_source(file: str | None, parts: Parts) -> None:
    """Add the whole source of a first-party file, without comments and docstrings, and of those it imports."""
    if file is None or not is_first_party(file) or not Path(file).is_file() or f"file {Path(file).name}" in parts:
        return
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    parts[f"file {Path(file).name}"] = _sha(ast.dump(_without_docstrings(tree)))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                _visit_source(_module_file(alias.name), parts)
        elif isinstance(node, ast.ImportFrom) and node.module:
            _visit_source(_module_file(node.module), parts)


def _instructions(code: CodeType) -> str:
    """Return the instructions of a code object with their operands, but no line numbers and no docstring."""
    lines = [code.co_exceptiontable.hex()]  # which instructions a `try` covers shows nowhere else
    for instruction in dis.get_instructions(code):
        operand = instruction.argval
        if isinstance(operand, frozenset):
            operand = sorted(operand, key=repr)
        text = _instructions(operand) if isinstance(operand, CodeType) else f"{type(operand).__name__} {operand!r}"
        lines.append(f"{instruction.opname} {text}")
    return f"{code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]}\n" + "\n".join(lines)


def _names(code: CodeType) -> Iterator[str]:
    """Yield the global and attribute names that a code object and those nested in it use."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _imports(code: CodeType) -> Iterator[str]:
    """Yield the modules that a code object imports when it runs."""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imports(constant)


def _without_docstrings(tree: ast.AST) -> ast.AST:
    """Remove docstrings and the `__main__` block from a syntax tree."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _is_text(part) and not _is_main(part)]  # type: ignore[attr-defined]
    return tree


def _is_text(node: ast.AST) -> bool:
    """Say whether a statement is only a text."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_main(node: ast.AST) -> bool:
    """Say whether a statement is `if __name__ == "__main__":`."""
    return isinstance(node, ast.If) and "__name__" in ast.dump(node.test)


def _module_file(name: str) -> str | None:
    """Return the file of a module by name, or None."""
    if name in sys.modules:
        return getattr(sys.modules[name], "__file__", None)
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return spec.origin if spec else None


def _class_file(cls: type) -> str | None:
    """Return the file that defines a class, or None."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if file is not None:
        return str(file)
    for member in vars(cls).values():
        inner = _unwrapped(member)
        if isinstance(inner, FunctionType) and inner.__code__.co_filename != "<string>":
            return inner.__code__.co_filename
    return None


def _is_own_module(value: Any) -> bool:
    """Say whether `value` is one of the user's modules."""
    return isinstance(value, ModuleType) and is_first_party(getattr(value, "__file__", None))


def _is_filled(cell: Any) -> bool:
    """Say whether a captured variable has a value yet."""
    try:
        return cell.cell_contents is not None or True
    except ValueError:
        return False


def _is_slot(value: Any) -> bool:
    """Say whether a class attribute is machinery of the interpreter."""
    return type(value).__name__ in {"member_descriptor", "getset_descriptor", "_abc_data", "Field"}


def _sha(text: str) -> str:
    """Return a short digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
