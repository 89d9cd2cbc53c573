"""The feedback of meta pseudo-labels, as pure functions: how much a student's step on sampled labels helped it.

Shapes: B rows, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MOMENTUM = 0.99
"""Decay of the moving average."""


def draw(logits: Tensor, temperature: float) -> Tensor:
    """Return labels [B] sampled from the softened distributions of `logits` [B, C], by torch's generator."""
    shares = torch.softmax(logits.detach().float() / temperature, dim=-1)
    return torch.multinomial(shares, 1).squeeze(-1)


def feedback(before: Sequence[Tensor], after: Sequence[Tensor], gradients: Sequence[Tensor]) -> Tensor:
    """Return the coefficient h of Pham et al. 2020 (arXiv 2003.10580, section 3 and appendix A).

    The paper has h = eta * (gradient of the labelled loss at the student's new weights) . (gradient of the loss on the
    pseudo-labels at its old ones), for a step of gradient descent with rate eta. That step is eta times the second
    gradient, so h is the first gradient times the way back; taken so, it holds for any optimizer. To first order it is
    by how much the step lowered the labelled loss.

    Args:
        before: the student's weights before its step.
        after: the same weights after it.
        gradients: of the labelled loss at the weights `after`.

    Returns:
        One number.
    """
    parts = [((old - new) * gradient).sum() for old, new, gradient in zip(before, after, gradients, strict=True)]
    return torch.stack(parts).sum()


class Baseline:
    """A moving average of the feedback; the teacher learns from the difference to it, its advantage.

    Subtracting what does not depend on the sampled labels leaves the expected gradient as it is and lowers its variance
    (Williams 1992, "Simple statistical gradient-following algorithms for connectionist reinforcement learning").
    """

    def __init__(self, value: float | None = None) -> None:
        """Start from `value`, or from the first feedback."""
        self.value = value

    def advantage(self, value: float) -> float:
        """Return by how much `value` is above the average of those before it, and take it in; 0 for the first."""
        average = value if self.value is None else self.value
        self.value = MOMENTUM * average + (1 - MOMENTUM) * value
        return value - average
