"""SmoothQuant: outliers of the activations moved into the weights (Xiao et al. 2022, arXiv 2211.10438).

A norm's output feature j is divided by s_j and the weights that read it are multiplied by s_j (see
`scale_folding`): the same function, with inputs that lose less when they are rounded to 8 bits.

The paper takes one strength for all layers; each set of inputs can have the one of `STRENGTHS` that does the least harm
to what the model puts out (`int8_harm`), where OmniQuant (Shao et al. 2023, arXiv 2308.13137) fits scales to the
outputs of each block.

Shapes: O output features, I input features, N tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

STRENGTHS = (0.25, 0.4, 0.5, 0.6, 0.75, 0.9)
"""Migration strengths that are tried; beyond them one side has all the outliers."""
SMALLEST = 1e-5
"""Least magnitude that a feature is taken to have, so that one that is never active gives no infinite scale."""


class InputAbsmax:
    """The largest magnitude of each input feature over all recorded tokens: max |X_j| of equation 4."""

    def __init__(self, width: int, device: torch.device | str = "cpu") -> None:
        """Start with nothing recorded of `width` input features."""
        self.largest = torch.zeros(width, dtype=torch.float32, device=device)

    def add(self, inputs: Tensor) -> None:
        """Update with `inputs` [N, I]."""
        self.largest = torch.maximum(self.largest, inputs.float().abs().amax(0))


def scales(input_absmax: Tensor, weights: Sequence[Tensor], alpha: float) -> Tensor:
    """Return s [I] of equation 4: max |X_j|^alpha / max |W_j|^(1 - alpha).

    Args:
        input_absmax: [I], the largest magnitude of each input feature.
        weights: [O, I] each, all that read these inputs.
        alpha: migration strength: how much of the difficulty moves from activations to weights, 0 to 1.
    """
    # over all weights that read these inputs: they share the norm that is divided, so they share s
    weight_absmax = torch.stack([weight.float().abs().amax(0) for weight in weights]).amax(0)
    weight_absmax = weight_absmax.clamp_min(SMALLEST)
    return input_absmax.clamp_min(SMALLEST) ** alpha / weight_absmax ** (1 - alpha)
