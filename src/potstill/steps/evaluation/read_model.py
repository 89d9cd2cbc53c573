"""A model that vLLM serves elsewhere, but not on this processor: transformers reads it, so that its answers count."""

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
    """Answers as the model does; says nothing of how fast it is served, and in how much memory."""

    is_serving: ClassVar[bool] = False


def warn_if_read(teacher: object, context: Context) -> None:
    """Warn that a model's speed was not measured, and why."""
    if isinstance(teacher, ReadByTransformers):
        reason = unserved(Path(str(teacher.model)))
        warning = f"{reason}. Transformers read its answers; its speed was not measured"
        context.notes.setdefault("warnings", []).append(warning)
