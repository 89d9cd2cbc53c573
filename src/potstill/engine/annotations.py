"""Annotations of the fields of steps and settings, resolved one by one, and what they say about a value."""

from __future__ import annotations

import ast
import importlib
import operator
import sys
import types
import typing
from functools import lru_cache
from typing import Any

from potstill.engine.code.sources import module_source
from potstill.engine.step import Step
from potstill.engine.typed_json import Annotation


@lru_cache(maxsize=2048)
def hints(cls: type) -> dict[str, Any]:
    """Return the resolved annotations of a class and those above it; without those that can't be resolved."""
    return _resolved(cls)[0]


@lru_cache(maxsize=2048)
def unresolved(cls: type) -> dict[str, str]:
    """Return by field what is wrong with the annotations of a class that can't be resolved."""
    return _resolved(cls)[1]


def marks(cls: type, name: str) -> tuple[Any, ...]:
    """Return the marks in the annotation of a field, e.g. `Edge("rows")`, at any depth."""
    return _marks(cls, name)


def as_annotated(value: object, annotation: Annotation) -> Any:
    """Return `value` with whole numbers as floats where the annotation wants a float: 1 and 1.0 are one there."""
    if hasattr(annotation, "__metadata__"):
        return as_annotated(value, typing.cast("Any", annotation).__origin__)
    if annotation is float:
        return _as_float(value)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return _as_member(value, arguments)
    if (type(value) is list or type(value) is tuple) and arguments:
        each = arguments * len(value) if len(arguments) == 1 else arguments
        each = (arguments[0],) * len(value) if arguments[-1:] == (...,) else each
        pairs = zip(value, each, strict=True) if len(each) == len(value) else ((item, None) for item in value)
        items = [as_annotated(item, wanted) for item, wanted in pairs]
        return value if all(map(operator.is_, items, value)) else type(value)(items)
    if type(value) is dict and len(arguments) == 2:
        turned = {key: as_annotated(item, arguments[1]) for key, item in value.items()}
        return value if all(turned[key] is item for key, item in value.items()) else turned
    return value


def _as_float(value: object) -> Any:
    """Return a whole number as a float if it is one exactly."""
    try:
        return float(value) if type(value) is int and int(float(value)) == value else value
    except OverflowError:
        return value


def _as_member(value: object, members: tuple[Any, ...]) -> Any:
    """Return a value as the member of a union that it belongs to."""
    plain = [getattr(member, "__origin__", member) if hasattr(member, "__metadata__") else member for member in members]
    if type(value) is int:
        return _as_float(value) if float in plain and int not in plain else value
    fitting = [member for member in plain if typing.get_origin(member) is type(value)]
    return as_annotated(value, fitting[0]) if len(fitting) == 1 else value


@lru_cache(maxsize=8192)
def _marks(cls: type, name: str) -> tuple[Any, ...]:
    """Return the marks in the annotation of a field, which is asked for many times a step."""
    return tuple(_marks_in(hints(cls).get(name)))


def _marks_in(annotation: Annotation) -> list[Any]:
    """Collect the metadata of `Annotated` in an annotation."""
    metadata = list(getattr(annotation, "__metadata__", ()))
    for inner in typing.get_args(annotation):
        metadata += [] if isinstance(inner, str) else _marks_in(inner)
    return metadata


@lru_cache(maxsize=2048)
def _resolved(cls: type) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the annotations of a class that can be resolved, and what is wrong with the others."""
    good: dict[str, Any] = {}
    bad: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        for name, annotation in _annotations(base).items():
            good.pop(name, None)
            bad.pop(name, None)
            try:
                good[name] = _resolve(base, name, annotation)
            except Exception as error:  # noqa: BLE001 - an annotation may be any expression
                if not _is_class_variable(annotation):
                    bad[name] = _explanation(cls, annotation, error)
    return good, bad


def _annotations(cls: type) -> dict[str, Any]:
    """Return the annotations that a class itself has, as they are written."""
    annotations = vars(cls).get("__annotations__")
    if annotations is None and sys.version_info >= (3, 14):
        # computed on access from Python 3.14 on
        annotations = getattr(cls, "__annotations__", None)
    return dict(annotations) if isinstance(annotations, dict) else {}


def _resolve(cls: type, name: str, annotation: Annotation) -> Any:
    """Return one annotation of `cls` resolved, with the names that its module imports for type checkers if need be."""
    module = sys.modules.get(cls.__module__)
    names = dict(vars(module)) if module is not None else {}
    # one field at a time: get_type_hints fails for all of a class where one name is missing
    alone = type(cls.__name__, (), {"__annotations__": {name: annotation}, "__module__": cls.__module__})
    try:
        return typing.get_type_hints(alone, names, dict(vars(cls)), include_extras=True)[name]
    except NameError:
        checked = _imported_for_checkers(cls.__module__)
        return typing.get_type_hints(alone, {**names, **checked}, dict(vars(cls)), include_extras=True)[name]


def _is_class_variable(annotation: Annotation) -> bool:
    """Return whether an annotation is that of a class variable, which is no field."""
    return isinstance(annotation, str) and annotation.replace("typing.", "").lstrip().startswith("ClassVar")


def _explanation(cls: type, annotation: Annotation, error: Exception) -> str:
    """Return the problem of an annotation that can't be resolved."""
    place = "step" if issubclass(cls, Step) else "class"
    return (
        f"the annotation {annotation!s:.60} can't be resolved ({error}): import what it names where the {place} "
        "is defined, not inside a function or for type checkers alone"
    )


@lru_cache(maxsize=512)
def _imported_for_checkers(module_name: str) -> dict[str, Any]:
    """Return the names that a module imports under `if TYPE_CHECKING:`, those that can be imported."""
    module = sys.modules.get(module_name)
    file = getattr(module, "__file__", None)
    source = module_source(file, vars(module)) if module is not None and isinstance(file, str) else None
    names: dict[str, Any] = {}
    for node in ast.walk(source.tree) if source is not None else ():
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for statement in node.body:
                names |= _names_of(statement, getattr(module, "__package__", "") or "")
    return names


def _names_of(statement: ast.stmt, package: str) -> dict[str, Any]:
    """Return what an import statement binds; nothing where it fails."""
    names: dict[str, Any] = {}
    for alias in getattr(statement, "names", ()):
        try:
            if isinstance(statement, ast.ImportFrom):
                module = importlib.import_module("." * statement.level + (statement.module or ""), package)
                names[alias.asname or alias.name] = getattr(module, alias.name)
            elif isinstance(statement, ast.Import):
                module = importlib.import_module(alias.name)
                top = alias.name.partition(".")[0]
                names[alias.asname or top] = module if alias.asname else sys.modules[top]
        except Exception:  # noqa: BLE001, S112 - what can't be imported stays unresolved, and is reported so
            continue
    return names
