"""What a student minimises, and what is told of it while it learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor

    from potstill.trainers.loop.process_group import Group


class Objective(Protocol):
    """What a student minimises."""

    def __call__(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss [N] of each target from the student's logits [N, V] and the batch they come from."""


@dataclass(frozen=True)
class Losses:
    """The losses of some targets part by part, and what else is told of them."""

    parts: Mapping[str, Tensor]
    """[N] each, by name and weighted: they add up to the loss."""
    figures: Mapping[str, Tensor] = field(default_factory=dict)
    """[N] each, no part of the loss: such as `agreement` with the teacher and the unweighted `divergence` from it."""

    def total(self) -> Tensor:
        """Return the loss [N]."""
        first, *others = self.parts.values()
        for other in others:
            first = first + other
        return first


@runtime_checkable
class InParts(Protocol):
    """An objective that tells its parts; called as an `Objective`, it returns `losses(...).total()`."""

    def losses(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Losses:
        """Return the parts of the loss from the student's logits [N, V] and the batch they come from."""


def losses_of(objective: Objective, logits: Tensor, batch: Mapping[str, Tensor]) -> Losses:
    """Return the losses of `objective`, in parts if it tells any."""
    if isinstance(objective, InParts):
        return objective.losses(logits, batch)
    return Losses({"loss": objective(logits, batch)})


def agreement(logits: Tensor, teacher: Tensor) -> Tensor:
    """Return 1 for each target to which student [N, V] and teacher find the same token most probable, otherwise 0.

    `teacher` [N] is the teacher's most probable token of each.
    """
    # the highest value is found faster than its place
    return (logits.gather(-1, teacher[:, None])[:, 0] >= logits.amax(-1)).float()


@dataclass
class Tally:
    """Sums over targets of what is told, on the device: nothing waits for it until it is read."""

    _sums: dict[str, Tensor] = field(default_factory=dict)
    _count: int = 0

    def add(self, loss: Tensor, losses: Losses) -> None:
        """Add the `loss` [N] of some targets, its parts, and what else is told of them."""
        for name, values in {**losses.parts, **losses.figures, "loss": loss}.items():
            total = values.detach().float().sum()
            self._sums[name] = self._sums[name] + total if name in self._sums else total
        self._count += len(loss)

    def means(self, group: Group) -> dict[str, float]:
        """Return the means over the targets of all processes, and start anew."""
        sums: dict[str, float] = {}
        count = 0
        for theirs, number in group.gather(({name: float(total) for name, total in self._sums.items()}, self._count)):
            count += number
            for name, total in theirs.items():
                sums[name] = sums.get(name, 0.0) + total
        self._sums, self._count = {}, 0
        return {name: total / max(count, 1) for name, total in sums.items()}
