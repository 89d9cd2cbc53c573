"""Clipping search: the range of a group is cut where that lowers the error of the layer's outputs.

The weight clipping that AWQ's authors apply after scaling, and the search for a grid of GPTQ's authors, both in the
code that they published: a grid that does not reach the largest weights is finer for all others.

Shapes: O output features, I input features, G groups of inputs, S input features of a group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from potstill.compression.quantization import rounding
from potstill.compression.quantization.rounding import Grid, Quantized
from potstill.compression.slabs import slabs

SHARES = tuple(1 - step / 40 for step in range(20))
"""Shares of a group's range that are tried, from all to about half."""


def quantize(
    weight: Tensor,
    hessian: Tensor | None,
    bits: int,
    group_size: int,
    scale_type: torch.dtype = torch.float32,
    symmetric: bool = True,
) -> Quantized:
    """Round `weight` [O, I], each group with the share of its range that leaves the least error.

    The error is that of the outputs as far as the group alone makes it: d H dᵀ with the group's part of the Hessian.

    Args:
        weight: [O, I].
        hessian: [I, I], the mean of x xᵀ; None where every weight counts as much, as in embeddings.
        bits: of a value.
        group_size: input features that share a scale; it divides I.
        scale_type: type that the scales are stored in.
        symmetric: whether 0 is the integer 0.
    """
    pieces = list(slabs(weight))
    if len(pieces) > 1:
        how = (hessian, bits, group_size, scale_type, symmetric)
        return rounding.joined([quantize(weight[rows], *how) for rows in pieces])
    rows, width = weight.shape
    groups = weight.float().reshape(rows, width // group_size, group_size)
    parts = None if hessian is None else _diagonal_blocks(hessian, group_size)

    def error(difference: Tensor) -> Tensor:
        # cross terms between groups are left out: each group is searched by itself
        weighted = difference if parts is None else torch.einsum("ogs,gst->ogt", difference, parts)
        return (weighted * difference).sum(-1, keepdim=True)

    best = search(groups, error, bits, scale_type, symmetric)
    values = best.integers(groups).to(torch.int8).reshape(rows, width)
    return Quantized(values, best.scale.squeeze(-1), bits, None if best.zero is None else best.zero.squeeze(-1))


def search(
    groups: Tensor,
    error: Callable[[Tensor], Tensor],
    bits: int,
    scale_type: torch.dtype,
    symmetric: bool,
    shares: Sequence[float] = SHARES,
) -> Grid:
    """Return the grids of `groups` [..., S], each with the one of the `shares` of its range that has the least `error`.

    Args:
        groups: weights that share a scale in the last dimension.
        error: what the differences [..., S] of rounded and exact weights cost [..., 1].
        bits: of a value.
        scale_type: type that the scales are stored in.
        symmetric: whether 0 is the integer 0.
        shares: 1 first, which is taken where no cut helps.
    """
    best = rounding.fit_grid(groups, bits, scale_type, symmetric, shares[0])
    least = error(best.values(best.integers(groups)) - groups)
    for share in shares[1:]:
        grid = rounding.fit_grid(groups, bits, scale_type, symmetric, share)
        cost = error(grid.values(grid.integers(groups)) - groups)
        better = cost < least
        least = torch.where(better, cost, least)
        best = _merged(best, grid, better)
    return best


def _diagonal_blocks(hessian: Tensor, size: int) -> Tensor:
    """Return [G, S, S], the blocks of `hessian` [I, I] that belong to one group each."""
    count = len(hessian) // size
    return hessian.reshape(count, size, count, size)[torch.arange(count), :, torch.arange(count)]


def _merged(old: Grid, new: Grid, take: Tensor) -> Grid:
    zero = None if old.zero is None or new.zero is None else torch.where(take, new.zero, old.zero)
    return Grid(torch.where(take, new.scale, old.scale), zero, new.bits)
