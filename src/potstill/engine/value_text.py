"""Texts read as values of the types that annotations name: what `--set` gives to a parameter."""

from __future__ import annotations

import enum
import math
import typing
from pathlib import PurePath
from typing import Any

from potstill.engine.json_text import json_in
from potstill.engine.step import Output, Step
from potstill.engine.typed_json import (
    ANYTHING,
    WRITTEN,
    Annotation,
    MisfitError,
    from_json,
    is_class,
    members_of,
    misfit,
    name_of,
    plain,
)


def value_of(text: str, annotation: Annotation, old: object = None) -> Any:
    """Return the value that a text means where `annotation` is expected.

    A text stays a text for `str`; everything else is JSON where its type has a form there, else as Python writes it:
    names of enum members, ISO dates, paths. `old` is the parameter's value so far, for annotations that allow anything.

    Raises:
        MisfitError: it is no such value.
    """
    return _from_text(text, plain(annotation), old)


def _from_text(text: str, kind: Annotation, old: object) -> Any:
    """Read a text for an annotation without marks."""
    members = members_of(kind)
    if members:
        return _one_of(text, members, old)
    if kind is str:
        return _json_text(text)
    if kind in ANYTHING:
        return _guided(text, old)
    if (typing.get_origin(kind) or kind) in WRITTEN or is_class(kind, (enum.Enum, PurePath)):
        return from_json(_json_text(text), kind)
    try:
        value = json_in(text, parse_int=_whole)
    except ValueError:
        value = {"True": True, "False": False, "None": None}.get(text, text)
    return from_json(value, kind)


def _one_of(text: str, members: tuple[Any, ...], old: object) -> Any:
    """Return the value of the first member of a union that the text fits; a text only where nothing else is meant."""
    if any(member in ANYTHING or _is_edge(member) for member in members):
        return _guided(text, old)
    if type(None) in members and text in ("null", "None"):
        return None
    others = [member for member in members if member is not type(None)]
    if str in members:  # a path is as well a text; so is all that looks like a number where a text stood
        others = [member for member in others if member is not str and not is_class(member, (PurePath,))]
        others = [] if isinstance(old, str) and not text.startswith(("[", "{")) else others
    for member in others:
        try:
            return _from_text(text, plain(member), old)
        except MisfitError:
            continue
    if str in members:
        return _json_text(text)
    raise MisfitError(misfit(" or ".join(map(name_of, members)), text))


def _guided(text: str, old: object) -> Any:
    """Return what a text means where anything is allowed: JSON if it is, of the kind of `old` where it fits."""
    try:
        new = json_in(text)
    except ValueError:
        return text
    if isinstance(old, str) and not isinstance(new, (str, type(None))):
        return text
    if isinstance(old, tuple) and isinstance(new, list):
        return tuple(new)
    if isinstance(old, float) and type(new) is int:
        return float(new)
    return text if isinstance(new, float) and not math.isfinite(new) and not isinstance(old, float) else new


def _json_text(text: str) -> str:
    """Return a text, without its quotes if it is a JSON string."""
    try:
        value = json_in(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def _is_edge(kind: Annotation) -> bool:
    """Return whether a value of this type is a step, or one of its outputs."""
    return is_class(kind, (Step, Output))


def _whole(digits: str) -> int:
    """Return a whole number; one beyond the digits that Python reads is a misfit."""
    try:
        return int(digits)
    except ValueError as error:
        raise MisfitError(f"must have fewer digits than {len(digits):,}") from error
