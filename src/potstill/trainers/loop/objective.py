"""Training objectives, and the metrics that are logged with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from torch import Tensor

    from potstill.trainers.loop.process_group import Group


@dataclass(frozen=True)
class Losses:
    """The losses of some targets part by part, and metrics of them."""

    parts: Mapping[str, Tensor]
    """[N] each, by name and weighted: they add up to the loss."""
    metrics: Mapping[str, Tensor] = field(default_factory=dict)
    """[N] each, by name, only logged: such as `agreement` with the teacher and the unweighted `divergence` from it."""

    @classmethod
    def of(cls, loss: Tensor | Losses) -> Losses:
        """Return what an objective has returned as losses; a plain `loss` [N] is their one part."""
        return loss if isinstance(loss, cls) else cls({"loss": cast("Tensor", loss)})

    def total(self) -> Tensor:
        """Return the loss [N]."""
        first, *others = self.parts.values()
        for other in others:
            first = first + other
        return first


class Objective(Protocol):
    """A loss of a student, target by target."""

    def __call__(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor | Losses:
        """Return the loss [N] of each target, or its parts.

        Args:
            logits: [N, V] the student's, or whatever else its `Reading` makes of a batch.
            batch: the micro-batch that they come from.
        """


@dataclass
class Tally:
    """Sums of losses and metrics over targets, on the device: no step waits for a transfer to the CPU."""

    _sums: dict[str, Tensor] = field(default_factory=dict)
    _count: int = 0

    def add(self, loss: Tensor, losses: Losses) -> None:
        """Add the `loss` [N] of some targets, its parts, and metrics of them."""
        for name, values in {**losses.parts, **losses.metrics, "loss": loss}.items():
            total = values.detach().float().sum()
            self._sums[name] = self._sums[name] + total if name in self._sums else total
        self._count += len(loss)

    def means(self, group: Group) -> dict[str, float]:
        """Return the means over the targets of all processes, and reset."""
        sums: dict[str, float] = {}
        count = 0
        # sums and counts are gathered, not means: processes have different numbers of targets
        for totals, number in group.gather(({name: float(total) for name, total in self._sums.items()}, self._count)):
            count += number
            for name, total in totals.items():
                sums[name] = sums.get(name, 0.0) + total
        self._sums, self._count = {}, 0
        return {name: total / max(count, 1) for name, total in sums.items()}
