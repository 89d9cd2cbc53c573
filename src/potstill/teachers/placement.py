"""Where a step runs that asks a teacher: where the teacher does."""

from __future__ import annotations

from dataclasses import replace

from potstill.engine.step import Placement, Step


def placed(teacher: object, own: Placement) -> Placement:
    """Return the process of the run if `teacher` loads no model there, else `own`, with the modules that it names.

    The model that a step makes, or that a name stands for, is loaded by the step that asks it.
    """
    if isinstance(teacher, Step):
        return own
    if not getattr(teacher, "heavy", True):
        return Placement(heavy=False)
    preload = getattr(teacher, "preload", own.preload)
    return replace(
        own, preload=preload, gpus=getattr(teacher, "gpus", own.gpus), server_gpus=getattr(teacher, "server_gpus", 0)
    )


def apart(teacher: object, own: Placement) -> Placement:
    """Return a process of the step's own, whatever `teacher` is, in which only what the teacher needs is imported."""
    where = placed(teacher, own)
    return where if where.heavy else Placement(heavy=True)
