"""SparseGPT: pruning with errors compensated in later columns (Frantar and Alistarh 2023, arXiv 2301.00774).

GPTQ's loop over the columns, with a mask instead of rounding, or besides it.

Shapes: O output features, I input features, G groups of inputs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from potstill.compression.pruning import magnitude, masks, wanda
from potstill.compression.pruning.nm_pattern import NM
from potstill.compression.quantization import gptq, rounding
from potstill.compression.quantization.gptq import Hessian
from potstill.compression.quantization.rounding import Quantized

BLOCK = 128
"""Columns whose mask is chosen at once, as in the paper (section 3.2, "adaptive mask selection")."""


@dataclass(frozen=True)
class Rounding:
    """How what survives is quantized."""

    bits: int
    """Of a value: 4 or 8."""
    group_size: int | None
    """Input features that share a scale; None is the whole row."""
    scale_type: torch.dtype = torch.float32
    """Type that scales are stored in."""


@dataclass(frozen=True)
class Pruned:
    """A weight after pruning."""

    weight: Tensor
    """[O, I], as it computes: in the type of the scales if it is quantized, else float32."""
    quantized: Quantized | None = None
    """The integers that it stands for."""


def prune_layer(
    weight: Tensor, hessian: Hessian, sparsity: float, pattern: NM | None, damping: float, rounding: Rounding | None
) -> Pruned:
    """Prune `weight` [O, I], and quantize the rest if there is a `rounding`.

    Where the greedy order does worse on the calibration tokens than Wanda's mask or the magnitude's without any update,
    or than rounding after pruning (a scale is chosen before its weights are updated), the best of these is taken: the
    layer's error is never above theirs.
    """
    mean = hessian.mean()
    idle = mean.diagonal() == 0

    def error(pruned: Pruned) -> float:
        return float(gptq.layer_error(weight, pruned.weight, mean).sum())

    best = prune(weight, hessian.factor(damping), sparsity, pattern, rounding, idle)
    least = error(best)
    # a greedy order has no guarantee, so the simple masks are tried as well; they cost one product each

    def others() -> Iterator[Tensor]:
        # one at a time in memory
        for mask in _simple(weight, mean, sparsity, pattern):
            yield weight * mask
        if rounding is not None:
            yield prune(weight, hessian.factor(damping), sparsity, pattern, idle=idle).weight

    for values in others():
        other = _plain(values, rounding)
        if (own := error(other)) < least:
            best, least = other, own
    return best


def prune(
    weight: Tensor,
    factor: Tensor,
    sparsity: float,
    pattern: NM | None = None,
    rounding: Rounding | None = None,
    idle: Tensor | None = None,
) -> Pruned:
    """Prune `weight` [O, I] column by column (algorithm 1).

    Of every `BLOCK` columns the share `sparsity` goes that costs least by w^2 / [H^-1]_cc, over all rows; with
    a `pattern` it is chosen in each of its groups when the loop comes to it (section 3.3). Each weight that goes is
    made up for in the columns behind it, and with a `rounding` the error of the others is too (section 3.5). Weights
    that are 0 go first.

    Args:
        weight: [O, I].
        factor: [I, I], from `gptq.inverse_factor`.
        sparsity: share of the weights that go, 0 to below 1; a `pattern` has its own.
        pattern: how many of every few consecutive inputs stay.
        rounding: how the others are quantized.
        idle: bool [I], inputs that were never active: their weights cost nothing.
    """
    # a block must end where a group ends, or the group's mask would be chosen before its weights are updated
    block = BLOCK if pattern is None else max(BLOCK - BLOCK % pattern.group, pattern.group)
    mask = torch.ones_like(weight, dtype=torch.bool)
    gone, costs = weight == 0, factor.diagonal().square()
    quantizer = None if rounding is None else _Quantizer(rounding, weight)

    def choose(rest: Tensor, start: int, stop: int) -> None:
        cost = rest[:, start:stop].square() / costs[start:stop]
        # below every real cost, so weights that are already 0 count into the sparsity first
        cost[gone[:, start:stop]] = -1
        if idle is not None:
            cost[:, idle[start:stop]] = cost[:, idle[start:stop]].clamp_max(0)
        if pattern is not None:
            mask[:, start:stop] = masks.by_pattern(cost, pattern)
        else:
            mask[:, start:stop] = masks.overall(cost, masks.share_of(cost.numel(), sparsity))

    def change(rest: Tensor, column: int, stop: int) -> Tensor:
        if pattern is not None and column % pattern.group == 0:
            choose(rest, column, column + pattern.group)
        elif pattern is None and column % block == 0:
            choose(rest, column, stop)
        stays = mask[:, column] & ~gone[:, column]
        if quantizer is None:
            return rest[:, column] * stays
        return quantizer.column(rest, mask, column, stays)

    pruned = gptq.compensated(weight, factor, change, block)
    if quantizer is None:
        return Pruned(pruned)
    quantized = quantizer.whole()
    return Pruned(quantized.dequantize(), quantized)


class _Quantizer:
    """Quantizes columns one after another; a group's scale is that of its weights when its first column comes."""

    def __init__(self, rounding: Rounding, weight: Tensor) -> None:
        """Start with nothing of `weight` [O, I]."""
        self.how = rounding
        self.size = rounding.group_size or weight.shape[1]
        self.values = torch.zeros(weight.shape, dtype=torch.int8, device=weight.device)
        self.scales: list[Tensor] = []

    def column(self, rest: Tensor, mask: Tensor, column: int, stays: Tensor) -> Tensor:
        """Return what the column of `rest` [O, I] becomes [O], 0 where it does not stay.

        The scale of a group is that of its weights that the mask `mask` [O, I] keeps, as far as it is chosen by now.
        """
        if column % self.size == 0:
            group = slice(column, column + self.size)
            left = rest[:, group] * mask[:, group]
            self.scales.append(rounding.absmax_scale(left, self.how.bits, self.how.scale_type))
        scale = self.scales[-1][:, 0].float()
        integers = rounding.round_with(rest[:, column], scale, self.how.bits) * stays
        self.values[:, column] = integers.to(torch.int8)
        return integers * scale

    def whole(self) -> Quantized:
        """Return the integers of all columns."""
        return Quantized(self.values, torch.cat(self.scales, dim=1), self.how.bits)


def _simple(weight: Tensor, hessian: Tensor, sparsity: float, pattern: NM | None) -> Iterator[Tensor]:
    """Yield the masks [O, I] without an update: Wanda's, whose norms are the Hessian's diagonal, and magnitude's."""
    yield wanda.mask(weight, hessian.diagonal().sqrt(), sparsity, pattern)
    if pattern is None:
        yield next(magnitude.prune_masks([weight], sparsity, "layer"))
    else:
        yield magnitude.pattern_mask(weight, pattern)


def _plain(weight: Tensor, how: Rounding | None) -> Pruned:
    """Return a masked weight [O, I], rounded to nearest if it is to be quantized."""
    if how is None:
        return Pruned(weight.float())
    quantized = rounding.quantize(weight, how.bits, how.group_size, how.scale_type)
    return Pruned(quantized.dequantize(), quantized)
