"""What trainers that learn masks share: the field `masks`, and its checks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from potstill.errors import Problem
from potstill.trainers.compressed.masks import Masks
from potstill.trainers.language_models.base import CausalTraining
from potstill.trainers.loop.base import Training

if TYPE_CHECKING:
    from potstill.trainers.compressed.mask_parametrization import MaskForm


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MaskFields:
    """How a student is pruned while it is trained; a mix-in before the base of a trainer's family."""

    unkeyed: ClassVar[frozenset[str]] = Training.unkeyed - {"micro_batch_tokens", "processes"}
    # gates are sampled for each micro-batch, so micro-batches of another size, or processes, sample others

    masks: Masks = Masks()  # noqa: RUF009 - frozen
    """How small the student is to become."""

    def form(self) -> MaskForm:
        """Return the masks that the student is trained under."""
        from potstill.trainers.compressed.mask_parametrization import MaskForm

        return MaskForm(self.masks)


def mask_problems(step: Training, masks: Masks) -> Iterator[Problem]:
    """Yield what is wrong with the `masks`, and which parameters of `step` don't go with them."""
    yield from masks.problems()
    if step.processes > 1:
        yield Problem("", "processes", "would draw masks of their own: train in one process")
    if step.validation is not None:
        text = "the lowest loss there is that of weights from before the masks closed: leave validation out"
        yield Problem("", "validation", text)


def adapter_problems(step: CausalTraining) -> Iterator[Problem]:
    """Yield that a student with adapters can't be pruned."""
    for name, adapter in (("lora", step.lora), ("qlora", step.qlora)):
        if adapter:
            yield Problem("", name, "adapters can't be cut with the weights under them: train without")


def mask_recipe(masks: Masks) -> dict[str, object]:
    """Return what the model card states of `masks`."""
    goal = {name: value for name, value in dataclasses.asdict(masks).items() if value is not None}
    details = {f"masks: {name}": value for name, value in goal.items()}
    return {"pruning": "learned masks (CoFi, Xia et al. 2022)", **details}
