"""Holding a teacher to a form while it writes, where it can be held to one."""

from __future__ import annotations

from potstill.teachers.cache.response_cache import as_teacher
from potstill.teachers.protocol import Structured


def can_be_held(teacher: object, field: str = "choice") -> bool:
    """Return whether `teacher` can be held to a form given in this `field` of `Structured`.

    One that can't be held to all of them names those that it can in `gives_forms`.
    """
    gives = getattr(as_teacher(teacher), "gives_forms", None)
    return gives is None or field in gives


def held(form: Structured, teacher: object, wanted: bool = True) -> Structured | None:
    """Return `form`; None if `teacher` can't be held to it, or that is not `wanted`."""
    field = "json_schema" if form.json_schema else "regex" if form.regex else "choice"
    return form if wanted and can_be_held(teacher, field) else None


def held_to(choices: tuple[str, ...], teacher: object, wanted: bool = True) -> Structured | None:
    """Return the form that holds `teacher` to one of `choices`; None if it can't be held, or that is not `wanted`."""
    return held(Structured(choice=choices), teacher, wanted)
