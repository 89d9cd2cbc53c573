"""The target size of a student under learned masks, and the checks of trainers that learn them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge, Gt, Interval

from potstill.errors import Problem
from potstill.trainers.language_models.base import CausalTraining
from potstill.trainers.loop.base import Training

if TYPE_CHECKING:
    from potstill.trainers.compressed.mask_parametrization import MaskForm


@dataclass(frozen=True)
class Masks:
    """How small a model is to become under learned masks: by a share, or to a fixed shape."""

    sparsity: Annotated[float, Interval(gt=0, lt=1)] | None = None
    """Share of the blocks' projection weights to prune, wherever it hurts least; blocks end up uneven."""
    intermediate_size: Annotated[int, Ge(1)] | None = None
    """Of a fixed shape: feed-forward units that stay in each block; None keeps all."""
    heads: Annotated[int, Ge(1)] | None = None
    """Of a fixed shape: query heads that stay in each block, whole key-value groups; None keeps all."""
    hidden_size: Annotated[int, Ge(1)] | None = None
    """Of a fixed shape: hidden channels that stay, the same in all blocks; None keeps all."""
    align: Annotated[int, Ge(1)] = 64
    """What a size of a fixed shape that changes must be a multiple of, for fast kernels; tiny models need less."""
    learning_rate: Annotated[float, Gt(0)] = 0.1
    """Learning rate of masks and multipliers; Xia et al. 2023 take 1.0 for 3,200 steps, short trainings need much."""
    warmup: Annotated[float, Interval(ge=0, le=1)] = 0.2
    """Share of the training in which the target moves linearly to its value."""

    def problems(self) -> Iterator[Problem]:
        """Yield that no target is given, or two."""
        sizes = {name: getattr(self, name) for name in ("intermediate_size", "heads", "hidden_size")}
        given = [name for name, value in sizes.items() if value is not None]
        if self.sparsity is None and not given:
            yield Problem("", "masks", f"nothing says how small: give sparsity, or {', '.join(sizes)}")
        if self.sparsity is not None and given:
            yield Problem("", "masks", f"{' and '.join(given)} say how small already: leave sparsity out, or them")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MaskFields:
    """How a student is pruned while it is trained; a mix-in before the base of a trainer's family."""

    unkeyed: ClassVar[frozenset[str]] = Training.unkeyed - {"micro_batch_tokens", "processes"}
    # gates are sampled for each micro-batch, so micro-batches of another size, or processes, sample others

    masks: Masks = Masks()
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
    for name, given in (("lora", step.lora), ("qlora", step.qlora)):
        if given:
            yield Problem("", name, "adapters can't be cut with the weights under them: train without")


def mask_recipe(masks: Masks) -> dict[str, object]:
    """Return what the model card states of `masks`."""
    goal = {name: value for name, value in dataclasses.asdict(masks).items() if value is not None}
    details = {f"masks: {name}": value for name, value in goal.items()}
    return {"pruning": "learned masks (CoFi, Xia et al. 2022)", **details}
