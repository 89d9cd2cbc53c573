"""The value of a field checked against its annotation: its type, and the bounds that marks such as `Interval` set."""

from __future__ import annotations

import types
import typing
from typing import Any

from potstill.engine.step import Edge
from potstill.engine.typed_json import Annotation

_PLAIN = (bool, int, float, str, types.NoneType)


def type_problem(value: object, annotation: Annotation) -> str:
    """Return what is wrong with the type of a value, or nothing."""
    plain = _without_marks(annotation)
    if _plainly_fits(value, plain):
        return ""
    from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

    try:
        check_type(value, plain, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
    except TypeCheckError:
        return f"must be {_type_name(plain)}, got {value!r:.60} ({type(value).__name__})"
    except Exception:  # noqa: BLE001 - an annotation that can't be checked is no reason to refuse the value
        return ""
    if isinstance(value, bool) and plain in (int, float):
        return f"must be {_type_name(plain)}, got {value} (bool)"
    return ""


def range_problem(value: object, annotation: Annotation) -> str:
    """Return which bound of `Annotated[..., Interval(...)]` a number breaks, or nothing."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ""
    for mark in _annotated_marks(annotation):
        bounds = [getattr(mark, name, None) for name in ("gt", "ge", "lt", "le")]
        signs = (">", ">=", "<", "<=")
        holds = [
            value > b if s == ">" else value >= b if s == ">=" else value < b if s == "<" else value <= b
            for s, b in zip(signs, bounds, strict=True)
            if b is not None
        ]
        if not all(holds) or value != value:
            text = " and ".join(f"{s} {b}" for s, b in zip(signs, bounds, strict=True) if b is not None)
            return f"must be {text}, got {value}"
    return ""


def allows_none(annotation: Annotation) -> bool:
    """Return whether an annotation is optional."""
    return type(None) in typing.get_args(_without_marks(annotation))


def _plainly_fits(value: object, annotation: Annotation) -> bool:
    """Return whether a value is of a plain type that is asked for: most are, and typeguard takes 0.1 s to import."""
    plain = _without_marks(annotation)
    origin, arguments = typing.get_origin(plain), typing.get_args(plain)
    if origin in (typing.Union, types.UnionType):
        return any(_plainly_fits(value, member) for member in arguments)
    if origin is typing.Literal:
        return any(type(value) is type(choice) and value == choice for choice in arguments)
    if origin is tuple and len(arguments) == 2 and arguments[1] is ...:
        return type(value) is tuple and all(_plainly_fits(item, arguments[0]) for item in value)
    return type(value) is plain and plain in _PLAIN


def _without_marks(annotation: Annotation) -> Any:
    """Return an annotation without its outermost `Annotated`."""
    return typing.get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation


def _annotated_marks(annotation: Annotation) -> tuple[Any, ...]:
    """Return the marks of an annotation and of the members of a union."""
    own = tuple(getattr(annotation, "__metadata__", ()))
    inner = tuple(mark for part in typing.get_args(annotation) for mark in getattr(part, "__metadata__", ()))
    return tuple(mark for mark in own + inner if not isinstance(mark, Edge))


def _type_name(annotation: Annotation) -> str:
    """Return an annotation as a person would write it."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " | ".join(_type_name(_without_marks(member)) for member in typing.get_args(annotation))
    if annotation is types.NoneType:
        return "None"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
