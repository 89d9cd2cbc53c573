"""8-bit floating point, E4M3: 4 bits of exponent, 3 of mantissa, no infinities (Micikevicius et al. 2022).

Shapes: O output features, I input features, N tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from potstill.compression.quantization.rounding import Quantized, joined
from potstill.compression.slabs import slabs

LARGEST = 448.0
"""Largest number of E4M3 (Micikevicius et al. 2022, "FP8 Formats for Deep Learning", table 1)."""


def scale_of(values: Tensor, scale_type: torch.dtype = torch.float32) -> Tensor:
    """Return the scale [..., 1] that takes the largest magnitude of the last dimension to the largest number."""
    # of the magnitude: E4M3 has no zero point
    scale = (values.float().abs().amax(dim=-1, keepdim=True) / LARGEST).to(scale_type)
    return torch.where(scale == 0, torch.ones_like(scale), scale)


def round_with(values: Tensor, scale: Tensor) -> Tensor:
    """Return the nearest E4M3 numbers to `values` / `scale`."""
    # torch's cast gives NaN beyond the largest number: E4M3FN has no infinity to saturate to
    return (values.float() / scale.float()).clamp(-LARGEST, LARGEST).to(torch.float8_e4m3fn)


def quantize(weight: Tensor, scale_type: torch.dtype = torch.float32) -> Quantized:
    """Round `weight` [O, I] to E4M3, one scale per row."""

    def rounded(part: Tensor) -> Quantized:
        scale = scale_of(part, scale_type)
        return Quantized(round_with(part, scale), scale, 8)

    return joined([rounded(weight[rows]) for rows in slabs(weight)])


def fake_quantize_tokens(inputs: Tensor) -> Tensor:
    """Return `inputs` [..., I] after dynamic quantization of each token, in their own type."""
    scale = scale_of(inputs)
    return (round_with(inputs, scale).float() * scale).to(inputs.dtype)
