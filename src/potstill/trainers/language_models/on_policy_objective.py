"""The objective on texts that a student generated itself, and metrics of these texts.

Shapes: N generated tokens, B texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from potstill.trainers.language_models.chunked_losses import before_the_output_layer
from potstill.trainers.language_models.rollouts import Draw, DrawnBatch
from potstill.trainers.language_models.soft_objective import SoftObjective
from potstill.trainers.loop.examples import Example
from potstill.trainers.loop.objective import Losses
from potstill.trainers.loop.schedule import CAUSAL, Reading

if TYPE_CHECKING:
    from potstill.trainers.language_models.chunked_losses import Logits


def drawn(draw: Draw) -> Reading:
    """Return how a causal model reads batches whose texts are generated first."""

    def parts(rows: Sequence[Example], budget: int) -> Any:  # used like a list of micro-batches
        return DrawnBatch(rows, budget, draw)

    return replace(before_the_output_layer(CAUSAL), parts=parts)


@dataclass(frozen=True)
class OnPolicyObjective:
    """The divergence from the teacher, with metrics of the texts."""

    soft: SoftObjective
    """The divergence."""
    ends: tuple[int, ...]
    """Tokens that end a text."""

    def __call__(self, logits: Logits, batch: Mapping[str, Tensor]) -> Losses:
        """Return the loss [N], and metrics of the texts."""
        soft = self.soft(logits, batch)
        return replace(soft, metrics={**soft.metrics, **rates(batch, self.ends)})


def rates(batch: Mapping[str, Tensor], ends: Sequence[int]) -> dict[str, Tensor]:
    """Return [N] each token's share of its text, and the same where the text was cut.

    The mean over any tokens is the number of texts, or of cut ones, per token: unlike mean lengths, these can be
    averaged over the tokens of several steps and processes.
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
