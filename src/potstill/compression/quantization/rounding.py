"""Round-to-nearest quantization: int8 per output channel, int4 per group of inputs, and int8 per token.

The scale is absmax / (2^(bits-1) - 1), "absmax quantization"; or, with a zero point, (max - min) / (2^bits - 1),
"zeropoint quantization" (Dettmers et al. 2022, LLM.int8(), section 2).

Shapes: O output features, I input features, G groups (I = G * group size), N tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from potstill.compression.slabs import slabs


@dataclass(frozen=True)
class Quantized:
    """A weight as small numbers and their scales."""

    values: Tensor
    """[O, I] int8, or float8 of 4 exponent bits."""
    scale: Tensor
    """[O, G], in the type that it is stored in."""
    bits: int
    """Bits a value takes when stored: 4 or 8."""
    zero: Tensor | None = None
    """[O, G] int8, the integers that stand for 0; `None` where that is 0 itself."""

    @property
    def group_size(self) -> int:
        """Input features that share a scale."""
        return self.values.shape[1] // self.scale.shape[1]

    def dequantize(self) -> Tensor:
        """Return the weight [O, I] that the numbers stand for, in the type of the scale."""
        weight = torch.empty(self.values.shape, dtype=self.scale.dtype, device=self.values.device)
        for rows in slabs(self.values):
            values = self.values[rows].float()
            if self.zero is not None:
                values -= self.zero[rows].float().repeat_interleave(self.group_size, dim=1)
            values *= self.scale[rows].float().repeat_interleave(self.group_size, dim=1)
            weight[rows] = values
        return weight


@dataclass(frozen=True)
class Grid:
    """The evenly spaced values that the weights of a group are rounded to."""

    scale: Tensor
    """[..., 1], the distance of two values, in the type that it is stored in."""
    zero: Tensor | None
    """[..., 1] int8, the integer that stands for 0; `None` where that is 0 itself."""
    bits: int
    """Of an integer."""

    def integers(self, weight: Tensor) -> Tensor:
        """Return the integers, as floats, that the values nearest to `weight` [..., I] have."""
        if self.zero is None:
            return round_with(weight, self.scale, self.bits)
        top = 2 ** (self.bits - 1)
        return (torch.round(weight.float() / self.scale.float()) + self.zero).clamp_(-top, top - 1)

    def values(self, integers: Tensor) -> Tensor:
        """Return the values [..., I] that `integers` stand for, in float32."""
        return (integers if self.zero is None else integers - self.zero) * self.scale.float()


def absmax_scale(weight: Tensor, bits: int, scale_type: torch.dtype = torch.float32) -> Tensor:
    """Return the scale [..., 1] that takes the largest absolute value of the last dimension to the largest integer.

    It is rounded to `scale_type` here, so that values are rounded with the very scale that is stored.
    """
    scale = weight.float().abs().amax(dim=-1, keepdim=True) / (2 ** (bits - 1) - 1)
    scale = scale.to(scale_type)
    # a row of zeros: any scale but 0 will do
    return torch.where(scale == 0, torch.ones_like(scale), scale)


def fit_grid(
    weight: Tensor, bits: int, scale_type: torch.dtype = torch.float32, symmetric: bool = True, share: float = 1.0
) -> Grid:
    """Return the grid that spans the last dimension of `weight`: to both sides alike, or from its least to its largest.

    0 is always on the grid, so that a pruned weight stays pruned. With a `share` below 1 the grid spans only so much of
    the range, and what is beyond is cut off.
    """
    if symmetric:
        return Grid(absmax_scale(weight.float() * share, bits, scale_type), None, bits)
    # the range must hold 0, or a pruned weight would have no integer
    low = weight.float().amin(dim=-1, keepdim=True).clamp_max(0) * share
    high = weight.float().amax(dim=-1, keepdim=True).clamp_min(0) * share
    scale = ((high - low) / (2**bits - 1)).to(scale_type)
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    top = 2 ** (bits - 1)
    # shifted by `top`, because the integers are stored signed: -low / scale is 0 to 2^bits - 1
    zero = (torch.round(-low / scale.float()) - top).clamp(-top, top - 1)
    return Grid(scale, zero.to(torch.int8), bits)


def round_with(weight: Tensor, scale: Tensor, bits: int) -> Tensor:
    """Return the nearest integers to `weight` / `scale`, as floats within the range of `bits`."""
    top = 2 ** (bits - 1)
    return torch.round(weight.float() / scale.float()).clamp_(-top, top - 1)


def quantize(
    weight: Tensor,
    bits: int,
    group_size: int | None = None,
    scale_type: torch.dtype = torch.float32,
    symmetric: bool = True,
) -> Quantized:
    """Round `weight` [O, I] to `bits`, one scale per `group_size` inputs of a row, or one per row."""
    width = weight.shape[1]
    size = group_size or width
    # a shorter last group would need a format of its own, which no kernel reads
    if width % size:
        raise ValueError(f"{width} input features can't be divided into groups of {size}")

    def rounded(part: Tensor) -> Quantized:
        groups = part.reshape(len(part), width // size, size)
        grid = fit_grid(groups, bits, scale_type, symmetric)
        values = grid.integers(groups).to(torch.int8).reshape(part.shape)
        return Quantized(values, grid.scale.squeeze(-1), bits, None if grid.zero is None else grid.zero.squeeze(-1))

    return joined([rounded(weight[part]) for part in slabs(weight)])


def joined(parts: Sequence[Quantized]) -> Quantized:
    """Return the weight whose rows are those of all `parts`, one behind the other."""
    zeros = [part.zero for part in parts if part.zero is not None]
    return Quantized(
        torch.cat([part.values for part in parts]),
        torch.cat([part.scale for part in parts]),
        parts[0].bits,
        torch.cat(zeros) if zeros else None,
    )


def fake_quantize_tokens(inputs: Tensor, bits: int = 8) -> Tensor:
    """Return `inputs` [..., I] after dynamic symmetric quantization of each token, in their own type."""
    scale = absmax_scale(inputs, bits)
    return (round_with(inputs, scale, bits) * scale).to(inputs.dtype)
