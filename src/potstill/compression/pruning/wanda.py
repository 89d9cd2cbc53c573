"""Wanda: pruning by weights and activations (Sun et al. 2023, "A Simple and Effective Pruning Approach for LLMs").

Shapes: O output features, I input features, N tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from potstill.compression.pruning import masks
from potstill.compression.pruning.nm_pattern import NM
from potstill.compression.slabs import by_slabs


class InputNorms:
    """The L2 norm of each input feature over all recorded tokens: the second factor of Sun et al. 2023, equation 1."""

    def __init__(self, width: int, device: torch.device | str = "cpu") -> None:
        """Start with nothing recorded of `width` input features."""
        self.squares = torch.zeros(width, dtype=torch.float32, device=device)
        self.tokens = 0

    def add(self, inputs: Tensor) -> None:
        """Update with `inputs` [N, I]."""
        # squares are summed and the root is taken once at the end: norms of batches don't add up
        self.squares += inputs.float().square().sum(0)
        self.tokens += len(inputs)

    def norms(self) -> Tensor:
        """Return the norms [I]; of an expert that no token was sent to ones, so that magnitudes decide."""
        return self.squares.sqrt() if self.tokens else torch.ones_like(self.squares)


def mask(weight: Tensor, input_norms: Tensor, sparsity: float, pattern: NM | None = None) -> Tensor:
    """Return which weights stay, bool [O, I]: those with the largest |W_ij| * ||X_j||_2 of each output row.

    Exactly `floor(I * sparsity)` weights of each row go; of equal scores the first ones (Sun et al. 2023, equation 1;
    scores are compared within a row). With a `pattern` they are compared within its groups of consecutive inputs.

    Args:
        weight: [O, I].
        input_norms: [I], the norm of each input feature over the calibration tokens.
        sparsity: share of each row to prune, 0 to below 1; a `pattern` has its own.
        pattern: how many of every few consecutive inputs stay.
    """
    norms = input_norms.float()

    def of_rows(part: Tensor) -> Tensor:
        score = part.float().abs() * norms
        if pattern is not None:
            return masks.by_pattern(score, pattern)
        return masks.by_row(score, masks.share_of(weight.shape[1], sparsity))

    return by_slabs(weight, of_rows)
