"""Checkpoints in a work folder: the newest, from which a killed training resumes, and the best, which it ends with."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from potstill.engine.json_text import json_in

VALIDATION = "validation_loss"
"""Name of the loss on the validation rows in the trainer's log."""
STATE = "trainer_state.json"
"""File of a checkpoint with the steps taken and the log."""


def step_of(checkpoint: Path) -> int:
    """Return the number of steps that a checkpoint holds."""
    return int(checkpoint.name.rpartition("-")[2])


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint in `folder` and delete those that a kill left half written."""
    newest_first = sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True)
    for checkpoint in newest_first:
        # the state is written last, so a checkpoint that has it, in one piece, has everything else
        try:
            json_in((checkpoint / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            shutil.rmtree(checkpoint, ignore_errors=True)
            continue
        return checkpoint
    return None


def is_finished(checkpoint: Path, total: int, patience: int) -> bool:
    """Return whether a checkpoint is the last: all `total` steps are taken, or the training was stopped early."""
    if step_of(checkpoint) >= total:
        return True
    state = json_in((checkpoint / STATE).read_text(encoding="utf-8"))
    return is_exhausted(state["log_history"], patience)


def evaluations(history: Sequence[Mapping[str, Any]]) -> list[tuple[int, float]]:
    """Return the step and the loss of each evaluation in a trainer's log, which its checkpoints hold.

    >>> evaluations([{"step": 1, "loss": 3.0}, {"step": 2, "validation_loss": 2.5}])
    [(2, 2.5)]
    """
    return [(int(entry["step"]), float(entry[VALIDATION])) for entry in history if VALIDATION in entry]


def best_step(history: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the step with the lowest loss on the validation rows, the first of several; None without evaluations."""
    evaluated = evaluations(history)
    return min(evaluated, key=lambda evaluation: evaluation[1])[0] if evaluated else None


def is_exhausted(history: Sequence[Mapping[str, Any]], patience: int) -> bool:
    """Return whether the last `patience` evaluations brought no lower loss; never with a patience of 0."""
    evaluated = evaluations(history)
    best = best_step(history)
    # from the log alone, so that a resumed run stops at the same step
    return bool(patience) and sum(step > best for step, _ in evaluated if best is not None) >= patience


def best_folder(folder: Path, step: int) -> Path:
    """Return where the weights of an evaluated step are kept while they are the best."""
    return folder / f"best-{step}"


def drop_beaten(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Delete weights that are not the best any more.

    Only after a checkpoint whose log has the better ones: a run that resumes from an older one may still end with them.
    """
    for path in folder.glob("best-*"):
        if step_of(path) != best_step(history):
            shutil.rmtree(path, ignore_errors=True)
