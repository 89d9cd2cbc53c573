"""Symmetric round-to-nearest quantization: int8 per output channel, int4 per group of inputs, and int8 per token.

The scale is absmax / (2^(bits-1) - 1), "absmax quantization" (Dettmers et al. 2022, LLM.int8(), section 2).

Shapes: O output features, I input features, G groups (I = G * group size), N tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Quantized:
    """A weight as small integers and their scales."""

    values: Tensor
    """[O, I] int8."""
    scale: Tensor
    """[O, G], in the type that it is stored in."""
    bits: int
    """Bits a value takes when stored: 4 or 8."""

    @property
    def group_size(self) -> int:
        """Input features that share a scale."""
        return self.values.shape[1] // self.scale.shape[1]

    def dequantize(self) -> Tensor:
        """Return the weight [O, I] that the integers stand for, in the type of the scale."""
        scale = self.scale.float().repeat_interleave(self.group_size, dim=1)
        return (self.values.float() * scale).to(self.scale.dtype)


def absmax_scale(weight: Tensor, bits: int, scale_type: torch.dtype = torch.float32) -> Tensor:
    """Return the scale [..., 1] that takes the largest absolute value of the last dimension to the largest integer.

    It is rounded to `scale_type` here, so that values are rounded with the very scale that is stored.
    """
    scale = weight.float().abs().amax(dim=-1, keepdim=True) / (2 ** (bits - 1) - 1)
    scale = scale.to(scale_type)
    return torch.where(scale == 0, torch.ones_like(scale), scale)


def round_with(weight: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Return the nearest integers to `weight` / `scale`, as floats within the range of `bits`."""
    top = 2 ** (bits - 1)
    return torch.round(weight.float() / scale.float()).clamp_(-top, top - 1)


def quantize(
    weight: Tensor, bits: int, group_size: int | None = None, scale_type: torch.dtype = torch.float32
) -> Quantized:
    """Round `weight` [O, I] to `bits`, one scale per `group_size` inputs of a row, or one per row."""
    rows, width = weight.shape
    size = group_size or width
    if width % size:
        raise ValueError(f"{width} input features can't be divided into groups of {size}")
    groups = weight.reshape(rows, width // size, size)
    scale = absmax_scale(groups, bits, scale_type)
    values = round_with(groups, scale, bits).to(torch.int8).reshape(rows, width)
    return Quantized(values, scale.squeeze(-1), bits)


def fake_quantize_tokens(inputs: Tensor, bits: int = 8) -> Tensor:
    """Return `inputs` [..., I] after dynamic symmetric quantization of each token, in their own type."""
    scale = absmax_scale(inputs, bits)
    return (round_with(inputs, scale, bits) * scale).to(inputs.dtype)
