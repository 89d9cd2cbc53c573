"""NF4: 4-bit numbers at quantiles of the normal distribution, with scales quantized once more (QLoRA).

Dettmers et al. 2023 (arXiv 2305.14314), section 3. The 8-bit numbers of the second quantization are those of dynamic
tree quantization (Dettmers 2015, arXiv 1511.04561).

Shapes: O output features, I input features, B blocks of 64 weights, C blocks of 256 scales.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from potstill.compression.slabs import by_slabs, slabs

BLOCK = 64
"""Weights that share a scale, in the order of the flattened weight."""
SCALE_BLOCK = 256
"""Scales that share a scale of the second quantization."""


@dataclass(frozen=True)
class NF4:
    """A weight as 4-bit numbers and twice quantized scales."""

    values: Tensor
    """[O * I] uint8: numbers of `levels`."""
    scale: Tensor
    """[B] uint8: numbers of `dynamic_levels`."""
    second_scale: Tensor
    """[C] float32, of the scales."""
    offset: Tensor
    """[] float32, the mean of the scales, taken off before they are quantized."""
    shape: tuple[int, int]
    """(O, I)."""

    def scales(self) -> Tensor:
        """Return the scales [B], in float32."""
        second = self.second_scale.repeat_interleave(SCALE_BLOCK)[: len(self.scale)]
        return dynamic_levels().to(self.scale.device)[self.scale.long()] * second + self.offset

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the weight [O, I] that the numbers stand for."""
        codes, numbers, scales = self.values.reshape(-1, BLOCK), levels().to(self.values.device), self.scales()
        weight = torch.empty(codes.shape, dtype=dtype, device=codes.device)
        for rows in slabs(codes):
            weight[rows] = numbers[codes[rows].long()] * scales[rows, None]
        return weight.reshape(self.shape)

    def packed(self) -> Tensor:
        """Return uint8 [O * I / 2]: two numbers a byte, the first in the high bits."""
        return self.values[::2] << 4 | self.values[1::2]


@cache
def levels() -> Tensor:
    """Return the 16 numbers of NF4, least first.

    Quantiles of the normal distribution at even distances: 8 on the positive side and 7 on the negative one, between
    them 0, which pruned weights and padding need exactly; scaled to -1 and 1 (section 3, "4-bit NormalFloat").
    The outermost probability is the middle of those that 15 and 16 levels would have.
    """
    outermost = ((1 - 1 / 30) + (1 - 1 / 32)) / 2
    normal = torch.special.ndtri
    # 9 and 8 points from the tail to the median, whose last one is 0 in both and added once below
    positive = normal(torch.linspace(outermost, 0.5, 9, dtype=torch.float64)[:-1])
    negative = -normal(torch.linspace(outermost, 0.5, 8, dtype=torch.float64)[:-1])
    every = torch.cat([negative, torch.zeros(1, dtype=torch.float64), positive]).sort().values
    return (every / every.max()).float()


@cache
def dynamic_levels() -> Tensor:
    """Return the 256 numbers of dynamic tree quantization, least first.

    A sign, then zeros that count the exponent from 10^-6 to 1, then a fraction of the bits left, linear from 0.1 to 1:
    precise for small numbers and large ones alike. 0 and 1 are among them.
    """
    numbers = [0.0, 1.0]
    for bits in range(7):
        edges = torch.linspace(0.1, 1, 2**bits + 1, dtype=torch.float32)
        # midpoints of the intervals, each decade with one bit of fraction more than the one below
        fractions = (edges[:-1] + edges[1:]) / 2 * 10.0 ** (bits - 6)
        numbers += fractions.tolist() + (-fractions).tolist()
    return torch.tensor(sorted(numbers), dtype=torch.float32)


def quantize(weight: Tensor) -> NF4:
    """Quantize `weight` [O, I] in blocks of 64, and the scales of the blocks in blocks of 256.

    Raises:
        ValueError: 64 does not divide the number of weights.
    """
    rows, width = weight.shape
    if rows * width % BLOCK:
        raise ValueError(f"{rows} x {width} weights can't be divided into blocks of {BLOCK}")
    blocks = weight.detach().reshape(-1, BLOCK)
    absmax = by_slabs(blocks, lambda part: part.float().abs().amax(1))
    # scales are positive and alike: without their mean the signed 8-bit numbers would use half of their range
    offset = absmax.mean()
    scale, second = _quantize_scales(absmax - offset)
    # the numbers are chosen by the exact scales and only the stored ones are rounded, as bitsandbytes does
    safe = torch.where(absmax == 0, torch.ones_like(absmax), absmax)
    values = torch.cat([nearest(blocks[part].float() / safe[part, None], levels()) for part in slabs(blocks)])
    return NF4(values.flatten(), scale, second, offset, (rows, width))


def nearest(numbers: Tensor, sorted_levels: Tensor) -> Tensor:
    """Return uint8 of the shape of `numbers`: which of the `sorted_levels` is nearest to each."""
    # the levels are uneven, so that rounding a scaled number would not find the nearest
    middles = (sorted_levels[:-1] + sorted_levels[1:]) / 2
    return torch.bucketize(numbers.contiguous(), middles.to(numbers.device)).to(torch.uint8)


def _quantize_scales(scales: Tensor) -> tuple[Tensor, Tensor]:
    """Quantize `scales` [B] to 8 bits; return their numbers [B] and the scales [C] of their blocks."""
    # zeros change no maximum
    padding = -len(scales) % SCALE_BLOCK
    blocks = torch.nn.functional.pad(scales, (0, padding)).reshape(-1, SCALE_BLOCK)
    second = blocks.abs().amax(1)
    safe = torch.where(second == 0, torch.ones_like(second), second)
    return nearest(blocks / safe[:, None], dynamic_levels()).flatten()[: len(scales)].clone(), second
