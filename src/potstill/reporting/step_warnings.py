"""What steps warned of when they ran, such as a compression that lost much: it belongs beside the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from potstill.engine.context import Ancestor
from potstill.reporting.model_table import Evaluation


@dataclass(frozen=True)
class StepWarning:
    """One warning of a step."""

    step: str
    """Name of the step."""
    text: str
    """What it said."""
    models: tuple[str, ...]
    """Labels of what was measured of its result, or of what was made of that; empty where that is all or nothing."""


def warnings_of(evaluations: Sequence[Evaluation], lineage: Sequence[Ancestor]) -> list[StepWarning]:
    """Return what the steps of a lineage warned of, each text of a step once."""
    behind = {one.label: steps_behind(one.step, lineage) for one in evaluations if one.step}
    warnings = []
    for ancestor in lineage:
        labels = tuple(label for label, steps in behind.items() if ancestor.name in steps)
        models = labels if len(labels) < len(behind) else ()
        warnings += [StepWarning(ancestor.name, text, models) for text in dict.fromkeys(_texts(ancestor))]
    return warnings


def steps_behind(name: str, lineage: Sequence[Ancestor]) -> set[str]:
    """Return the names of all steps that a step was made from, and its own."""
    inputs: Mapping[str, tuple[str, ...]] = {one.name: tuple(one.inputs) for one in lineage}
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting += inputs.get(one, ())
    return seen


def _texts(ancestor: Ancestor) -> Iterator[str]:
    """Yield what a step warned of, and that nothing was found to serve what it exported."""
    notes = ancestor.manifest.get("notes") or {}
    held = notes.get("warnings")
    yield from (str(text) for text in held if str(text).strip()) if isinstance(held, list) else ()
    if notes.get("deployable") is False:
        yield f"Its export was not read back by what serves it: {notes.get('checked') or 'nobody knows how it answers'}"
