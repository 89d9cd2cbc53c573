"""The arguments of a step's constructor: names that it lacks are refused with the nearest one, lists become tuples."""

from __future__ import annotations

import difflib
import inspect
import sys
import types
import typing
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path

from potstill.errors import BadArguments

NOT_IN_FILE = ("<frozen", "<string>")
"""Files that no user can open, so that an error doesn't name their lines."""


def check_arguments(cls: type, given: tuple[object, ...], named: Mapping[str, object]) -> None:
    """Refuse arguments of `cls(...)` that name no field, and required ones that are left out; all of them together.

    Raises:
        BadArguments: with the nearest name that exists, and the line of the call.
    """
    parameters = _parameters(cls)
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters):
        return
    names = [one.name for one in parameters]
    positional = [one.name for one in parameters if one.kind is not inspect.Parameter.KEYWORD_ONLY]
    wrong = [f"has no parameter {name!r}{hint(name, names)}" for name in named if name not in names]
    covered = {*positional[: len(given)], *named}
    left_out = [one.name for one in parameters if one.default is one.empty and one.name not in covered]
    if left_out and not wrong:
        wrong = [f"needs {name}=..., which is not given" for name in left_out]
    if wrong:
        raise BadArguments(*(f"{_caller()}{cls.__name__} {text}" for text in wrong))


def hint(name: str, names: Collection[str]) -> str:
    """Return which of `names` was probably meant by `name`, as the end of a message; nothing if none is near."""
    near = nearest(name, names)
    return f"; the nearest is {near}" if near else f"; it has {', '.join(sorted(names))}"


def nearest(name: str, names: Collection[str]) -> str:
    """Return which of `names` was probably meant by `name`; nothing if none is near."""
    initials = {"".join(word[0] for word in one.split("_") if word): one for one in names if "_" in one}
    near = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.5)
    beginning = [one for one in sorted(names) if len(name) > 2 and one.startswith(name)]
    return initials.get(name) or next(iter(near or beginning), "")


def lists_as_tuples(value: object, annotation: object) -> object:
    """Return `value` with lists turned into tuples where the annotation knows tuples and no lists."""
    if isinstance(value, list) and _takes(annotation, tuple) and not _takes(annotation, list):
        return tuple(value)
    return value


def _takes(annotation: object, kind: type) -> bool:
    """Return whether an annotation, or a member of the union that it is, is a `kind`."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType, typing.Annotated):
        return any(_takes(part, kind) for part in typing.get_args(annotation))
    return kind in (annotation, origin)


@lru_cache(maxsize=512)
def _parameters(cls: type) -> tuple[inspect.Parameter, ...]:
    """Return the parameters of a class's constructor, which may be written by hand."""
    return tuple(inspect.signature(cls.__init__).parameters.values())[1:]  # type: ignore[misc]  # of this very class


def _caller() -> str:
    """Return `FILE line N: ` of the innermost call from outside this package."""
    own = str(Path(__file__).parents[1])
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith((own, *NOT_IN_FILE)):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name} line {frame.f_lineno}: " if frame is not None else ""
