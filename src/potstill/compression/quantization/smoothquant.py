"""SmoothQuant: outliers of the activations moved into the weights (Xiao et al. 2022, arXiv 2211.10438).

A norm's output feature j is divided by s_j and the weights that read it are multiplied by s_j (see
`scale_folding`): the same function, with inputs that lose less when they are rounded to 8 bits.

The paper takes one strength for all layers; `search` tries several for each set of inputs and takes the one that
leaves the least error in the outputs, as OmniQuant (Shao et al. 2023, arXiv 2308.13137) fits its scales layer by layer.

Shapes: O output features, I input features, N tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from potstill.compression.quantization import rounding

STRENGTHS = (0.25, 0.4, 0.5, 0.6, 0.75, 0.9)
"""Migration strengths that are tried; beyond them one side has all the outliers."""
TOKENS = 256
"""Tokens that a search compares outputs on."""
TOKENS_A_BATCH = 32
"""Of them, those of one batch: so that they come from many texts."""
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


class Sample(InputAbsmax):
    """The same, and some of the tokens."""

    def __init__(self, width: int, device: torch.device | str = "cpu") -> None:
        """Start with nothing recorded of `width` input features."""
        super().__init__(width, device)
        self._tokens: list[Tensor] = []

    def add(self, inputs: Tensor) -> None:
        """Update with `inputs` [N, I]."""
        super().add(inputs)
        if len(self._tokens) * TOKENS_A_BATCH < TOKENS:
            # evenly spaced: a text's first token, on which others rest their attention, is among them
            self._tokens.append(inputs[:: max(len(inputs) // TOKENS_A_BATCH, 1)][:TOKENS_A_BATCH].float())

    def tokens(self) -> Tensor:
        """Return the tokens [N, I]."""
        return torch.cat(self._tokens)


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


def output_error(inputs: Tensor, weights: Sequence[Tensor], outputs: Sequence[Tensor], scale: Tensor) -> float:
    """Return the squared error of the outputs as a share of their square, a mean over tokens, summed over `weights`.

    Of every token by its own size: each is rounded with its own scale, and a few are a hundred times the others.

    Args:
        inputs: [N, I], before they are divided.
        weights: [O, I] each, that read them.
        outputs: [N, O] each, without rounding.
        scale: [I], what inputs are divided and weights multiplied by before both are rounded to 8 bits.
    """
    rounded, error = rounding.fake_quantize_tokens(inputs / scale), 0.0
    for weight, exact in zip(weights, outputs, strict=True):
        difference = functional.linear(rounded, rounding.quantize(weight * scale, 8).dequantize()) - exact
        error += float((difference.square().sum(1) / exact.square().sum(1).clamp_min(SMALLEST**2)).mean())
    return error


def search(seen: Sample, weights: Sequence[Tensor]) -> tuple[Tensor, float | None]:
    """Return the s [I] that leaves the least `output_error`, and its strength: `None`, and ones, where none helps.

    Args:
        seen: what was recorded of the inputs.
        weights: [O, I] each, all that read them.
    """
    inputs, read = seen.tokens(), [weight.float() for weight in weights]
    outputs = [functional.linear(inputs, weight) for weight in read]
    best: Tensor = torch.ones_like(seen.largest)
    strength, least = None, output_error(inputs, read, outputs, best)
    for alpha in STRENGTHS:
        scale = scales(seen.largest, read, alpha)
        error = output_error(inputs, read, outputs, scale)
        if error < least:
            best, strength, least = scale, alpha, error
    return best, strength
