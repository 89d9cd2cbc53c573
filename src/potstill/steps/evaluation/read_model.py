"""Fallback to transformers for models that vLLM can't serve on this CPU: answers are measured, speed isn't."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from potstill.compression.cpu_kernels import unserved
from potstill.teachers.transformers import Transformers

if TYPE_CHECKING:
    from potstill.engine.context import Context


@dataclass(frozen=True)
class ReadByTransformers(Transformers):
    """Gives the model's answers; its speed and memory are not those of serving."""

    is_serving: ClassVar[bool] = False


def warn_if_read(teacher: object, context: Context) -> None:
    """Warn that a model's speed was not measured, and why."""
    if isinstance(teacher, ReadByTransformers):
        reason = unserved(Path(str(teacher.model)))
        warning = f"{reason}. Transformers read its answers; its speed was not measured"
        context.notes.setdefault("warnings", []).append(warning)
