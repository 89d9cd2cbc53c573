"""What a student minimises on texts that it wrote itself, and what is told of these texts.

Shapes: N tokens written, B texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from potstill.trainers.language_models.lazy_logits import before_the_output_layer
from potstill.trainers.language_models.rollouts import Draw, DrawnBatch
from potstill.trainers.language_models.soft_objective import SoftObjective
from potstill.trainers.loop.examples import Example
from potstill.trainers.loop.objective import Losses
from potstill.trainers.loop.schedule import CAUSAL, Reading


def drawn(draw: Draw) -> Reading:
    """Return how a causal model reads batches whose texts are drawn first."""

    def parts(rows: Sequence[Example], budget: int) -> Any:  # as good as a list of parts
        return DrawnBatch(rows, budget, draw)

    return replace(before_the_output_layer(CAUSAL), parts=parts)


@dataclass(frozen=True)
class OnPolicyObjective:
    """The divergence from the teacher; tells of the texts, too."""

    soft: SoftObjective
    """What is minimised."""
    ends: tuple[int, ...]
    """Tokens that end a text."""

    def __call__(self, logits: Any, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss [N] of the tokens written from the student's logits, made or not."""
        return self.losses(logits, batch).total()

    def losses(self, logits: Any, batch: Mapping[str, Tensor]) -> Losses:
        """Return the loss [N], and what is told of the texts."""
        soft = self.soft.losses(logits, batch)
        return replace(soft, metrics={**soft.metrics, **rates(batch, self.ends)})


def rates(batch: Mapping[str, Tensor], ends: Sequence[int]) -> dict[str, Tensor]:
    """Return [N] of each token its share of a text, and of a text that was cut.

    Their means over any tokens are texts, and cut ones, for each token: from these, unlike from means of lengths, the
    figures of several steps and processes can be had.
    """
    counts = batch["select"].sum(dim=1)
    last = batch["labels"][counts.cumsum(dim=0) - 1]
    cut = ~torch.isin(last, torch.tensor(ends, device=last.device))
    each = 1.0 / counts
    return {
        "texts_per_token": torch.repeat_interleave(each, counts),
        "cut_per_token": torch.repeat_interleave(each * cut, counts),
    }


def lengths(point: Mapping[str, float]) -> dict[str, float]:
    """Return the mean length of the texts at a point of the curve, the share that was cut, and the teacher's view."""
    texts = point["texts_per_token"]
    logged = {name: point[name] for name in ("step", "divergence", "agreement") if name in point}
    return {**logged, "mean length": 1 / texts, "share cut": point["cut_per_token"] / texts}
