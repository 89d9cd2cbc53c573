"""The form that a model's weights take while they are trained: few bits, or under masks that are learned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.trainers.loop.objective import Objective
    from potstill.trainers.loop.schedule import Schedule


class Form(Protocol):
    """Changes a model before it is trained, and what it minimises; afterwards it leaves an ordinary model."""

    def begin(self, model: PretrainedModel, objective: Objective, schedule: Schedule, targets: int) -> Objective:
        """Change `model` in place, which will learn from so many `targets` in all; return what it is to minimise.

        Raises:
            BadInput: the model can't take this form.
        """

    def end(self, model: PretrainedModel, context: Context) -> None:
        """Leave `model` with the weights that it computed with, as its kind has them."""

    def publish(self, folder: Path, context: Context) -> None:
        """Change what was written to `folder`, if this form is stored in another way than plain weights."""
