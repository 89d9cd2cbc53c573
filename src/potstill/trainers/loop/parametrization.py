"""Parametrizations of weights that are active in training: fake quantization, and learned masks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.trainers.loop.objective import Objective
    from potstill.trainers.loop.schedule import Schedule


class Form(Protocol):
    """Parametrizes the weights of a model and extends its objective; after training it leaves an ordinary model."""

    def begin(self, model: PretrainedModel, objective: Objective, schedule: Schedule, targets: int) -> Objective:
        """Parametrize `model` in place, for a training on so many `targets` in all; return its objective.

        Raises:
            BadInput: the model can't be parametrized so.
        """

    def end(self, model: PretrainedModel, context: Context) -> None:
        """Replace the parametrization of `model` by the weights that it computed with."""

    def publish(self, folder: Path, context: Context) -> None:
        """Rewrite the model in `folder`, if such weights are stored in another format."""
