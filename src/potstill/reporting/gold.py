"""Whose word the right answers of a test set are: a person's, or a teacher's own, read from the lineage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from potstill.engine.context import Ancestor

RIGHT = {"Evaluate": "output", "EvaluateTranslation": "reference", "EvaluateLabels": "gold"}
"""By type of an evaluating step: the column of right answers, or the parameter that names it; of others, `label`."""
WRITES: Mapping[str, tuple[str, ...]] = {
    "PseudoLabel": ("output", "answer"),
    "ClassifyWithTeacher": ("label",),
    "StructuredGeneration": ("value",),
    "WriteInstances": ("output",),
    "Magpie": ("output",),
}
"""By type of a labelling step: the columns that its teacher writes, beside the one that `output` names."""
PARTS = {"json_schema": '"{}"', "regex": "(?P<{}>"}
"""By parameter of a step whose answers have parts: how the name of a part stands there."""


@dataclass(frozen=True)
class Author:
    """The step whose teacher wrote the right answers of a test set."""

    set: str
    """The test set."""
    step: str
    """The step that had them written."""


def authors(step: str, sets: Sequence[str], lineage: Sequence[Ancestor]) -> list[Author]:
    """Return the test sets whose right answers a teacher wrote, of those that the evaluating `step` was given."""
    ancestors = {ancestor.name: ancestor for ancestor in lineage}
    evaluating = ancestors.get(step)
    if evaluating is None:
        return []
    sources = _inputs(evaluating, "rows")
    named = dict(zip(sets, sources, strict=True)) if len(sources) == len(sets) else {}
    result = []
    for name in sets:
        # two sets from one step can't be distinguished by name: then both are looked at in either
        for source in [named[name]] if name in named else sources:
            author = _author(source, _column(evaluating), ancestors)
            if author:
                result.append(Author(name, author))
                break
    return result


def _column(evaluating: Ancestor) -> str:
    """Return the column that a step takes the right answers from."""
    parameters = evaluating.manifest.get("params") or {}
    field = RIGHT.get(evaluating.type, "label")
    return str(parameters.get(field) or field)


def _author(name: str, column: str, ancestors: Mapping[str, Ancestor]) -> str:
    """Return the nearest step at or before `name` whose teacher wrote `column`, or nothing."""
    waiting, seen = [(name, column)], {(name, column)}
    while waiting:
        here, wanted = waiting.pop(0)
        ancestor = ancestors.get(here)
        if ancestor is None:
            continue
        if _has_teacher(ancestor) and _writes(ancestor, wanted):
            return here
        before = _before(ancestor, wanted)
        later = [(source, before) for field in ("rows", "tasks", "data") for source in _inputs(ancestor, field)]
        later = later or [(source, before) for source in ancestor.inputs]
        waiting += [each for each in later if each not in seen]
        seen |= set(later)
    return ""


def _inputs(ancestor: Ancestor, field: str) -> list[str]:
    """Return the names of the steps behind a field."""
    return [str(name) for name in (ancestor.manifest.get("inputs") or {}).get(field) or []]


def _has_teacher(ancestor: Ancestor) -> bool:
    """Return whether a step asks a teacher."""
    return bool((ancestor.manifest.get("params") or {}).get("teacher") or _inputs(ancestor, "teacher"))


def _writes(ancestor: Ancestor, column: str) -> bool:
    """Return whether a step's teacher writes `column`."""
    parameters = ancestor.manifest.get("params") or {}
    if column in (parameters.get("output"), *WRITES.get(ancestor.type, ())):
        return True
    return any(mark.format(column) in str(parameters.get(field) or "") for field, mark in PARTS.items())


def _before(ancestor: Ancestor, column: str) -> str:
    """Return what a column was called before a step that gives names."""
    names = (ancestor.manifest.get("params") or {}).get("names")
    if not isinstance(names, Mapping):
        return column
    return next((str(old) for old, new in names.items() if new == column), column)
