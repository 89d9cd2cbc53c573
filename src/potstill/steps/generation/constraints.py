"""Constrained decoding, where the teacher supports it."""

from __future__ import annotations

from potstill.teachers.cache.response_cache import as_teacher
from potstill.teachers.protocol import Structured


def can_be_held(teacher: object, field: str = "choice") -> bool:
    """Return whether `teacher` supports constrained decoding by this `field` of `Structured`.

    A teacher that supports only some of them names those in `gives_forms`.
    """
    gives = getattr(as_teacher(teacher), "gives_forms", None)
    return gives is None or field in gives


def held(form: Structured, teacher: object, wanted: bool = True) -> Structured | None:
    """Return the constraint `form`; None if `teacher` doesn't support it, or it is not `wanted`."""
    field = "json_schema" if form.json_schema else "regex" if form.regex else "choice"
    return form if wanted and can_be_held(teacher, field) else None


def held_to(choices: tuple[str, ...], teacher: object, wanted: bool = True) -> Structured | None:
    """Return the constraint to one of `choices`; None if `teacher` doesn't support it, or it is not `wanted`."""
    return held(Structured(choice=choices), teacher, wanted)
