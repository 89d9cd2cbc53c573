"""Recovery training after pruning: the pruning step expands to a trainer whose student is the pruned model."""

from __future__ import annotations

import dataclasses
from typing import Any
from weakref import WeakKeyDictionary

from potstill.engine.recipe import built
from potstill.engine.step import Step
from potstill.errors import Problem, RequestError

_TRAINERS: WeakKeyDictionary[Step, Step] = WeakKeyDictionary()
"""By the step that prunes: its trainer, so that it is the same object each time."""


def recovered(step: Step, trainer: Step | None, *, zeros: bool = False) -> Step:
    """Return the `trainer` with the model pruned by `step` as its student, or the step itself without a trainer.

    With `zeros` the training must keep those that pruning left.

    Raises:
        RequestError: it is no trainer, or one that can't hold zeros.
    """
    if trainer is None:
        return step
    # steps are compared by identity in a graph, so asking twice must give the same trainer
    if step not in _TRAINERS:
        _TRAINERS[step] = _trainer_of(step, trainer, zeros)
    return _TRAINERS[step]


def _trainer_of(step: Step, trainer: Step, zeros: bool) -> Step:
    """Return the trainer with the pruned model for its student.

    Raises:
        RequestError: it is no trainer, or one that can't hold zeros.
    """
    trainer = built(trainer)
    fields = {field.name for field in dataclasses.fields(trainer)} if isinstance(trainer, Step) else set()
    wanted = {"student", *(("hold_zeros",) if zeros else ())}
    if not wanted <= fields:
        text = f"needs a trainer with {' and '.join(sorted(wanted))}, such as HardLabel or SoftLabel"
        kind = type(trainer).__name__
        raise RequestError(Problem(step.name or type(step).__name__, "recover", f"{text}; got {kind}"))
    alone: dict[str, Any] = {"recover": None, "name": f"{step.name}.pruned" if step.name else None}
    held = {"hold_zeros": True} if zeros else {}
    changes: dict[str, Any] = {"student": dataclasses.replace(step, **alone), "name": step.name, **held}
    return dataclasses.replace(trainer, **changes)
