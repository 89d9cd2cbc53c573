"""Integers and scales of a quantized weight refined in turn: each the best there is while the other stays.

GPTQ rounds a column once, with what it knows of the columns before. Afterwards all integers are known: each can move to
where the error of the layer's outputs is least while the others stay (coordinate descent, as QuantEase does, Behdin et
al. 2023, arXiv 2309.01885), and the scales of a row solve a least-squares problem of as many unknowns as it has groups.
Neither raises the error d H d', but for the rounding of the scales.

Shapes: O output features, I input features, G groups of inputs, S input features of a group.
"""

from __future__ import annotations

import torch
from torch import Tensor

from potstill.compression.quantization.rounding import Quantized

BLOCK = 128
"""Columns whose steps reach all others at once."""
AT_ONCE = 2**25
"""Numbers that the least-squares problems of a few rows may hold at once."""


def refine(weight: Tensor, quantized: Quantized, hessian: Tensor) -> Quantized:
    """Return `quantized` of a `weight` [O, I] with its scales, its integers and its scales again refined.

    Args:
        weight: [O, I].
        quantized: what it was quantized to.
        hessian: [I, I], the mean of x xᵀ, damped.
    """
    return with_best_scales(
        weight, with_best_integers(weight, with_best_scales(weight, quantized, hessian), hessian), hessian
    )


def with_best_scales(weight: Tensor, quantized: Quantized, hessian: Tensor) -> Quantized:
    """Return `quantized` with the scales that leave the least error of each row; those far from before are kept."""
    (rows, width), groups = quantized.values.shape, quantized.scale.shape[1]
    exact, integers = weight.float(), quantized.values.float()
    if quantized.zero is not None:
        integers = integers - quantized.zero.float().repeat_interleave(width // groups, dim=1)
    before = quantized.scale.float()
    scale = before.clone()
    step = max(AT_ONCE // (groups * width), 1)
    for start in range(0, rows, step):
        part = integers[start : start + step].reshape(-1, groups, width // groups)
        # what a scale of 1 of each group gives, through the Hessian: [rows, G, I]
        through = torch.einsum("rgs,gsi->rgi", part, hessian.reshape(groups, width // groups, width))
        normal = (through.reshape(-1, groups, *part.shape[1:]) * part[:, None]).sum(-1)
        # a group of zeros has no scale, and any will do
        empty = normal.diagonal(dim1=1, dim2=2) <= 0
        normal = normal + torch.diag_embed(empty.float())
        wanted = (through * exact[start : start + step, None]).sum(-1)
        solved, failed = torch.linalg.solve_ex(normal, wanted)
        old = before[start : start + step]
        # NaN is near nothing; a row is solved as a whole, so that all of its scales belong together
        near = (solved > old / 2) & (solved < old * 2)
        use = ((near | empty).all(1) & (failed == 0))[:, None] & ~empty
        scale[start : start + step] = torch.where(use, solved, old)
    return Quantized(quantized.values, scale.to(quantized.scale.dtype), quantized.bits, quantized.zero)


def with_best_integers(weight: Tensor, quantized: Quantized, hessian: Tensor) -> Quantized:
    """Return `quantized` after each integer, column by column, took its best value; weights that are 0 stay 0."""
    width, size = quantized.values.shape[1], quantized.group_size
    top = 2 ** (quantized.bits - 1)
    # inputs first, so that a column's weights lie side by side
    exact, values = weight.float().T.contiguous(), quantized.values.float().T.contiguous()
    scale = quantized.scale.float().T
    zero = torch.zeros_like(scale) if quantized.zero is None else quantized.zero.float().T
    change = (values - zero.repeat_interleave(size, 0)) * scale.repeat_interleave(size, 0) - exact
    slope = hessian @ change
    curvature = hessian.diagonal().clamp_min(torch.finfo(hessian.dtype).tiny)
    gone = exact == 0
    for start in range(0, width, BLOCK):
        stop = min(start + BLOCK, width)
        own = slope[start:stop].clone()
        steps = torch.empty_like(own)
        for column in range(start, stop):
            grid, origin = scale[column // size], zero[column // size]
            best = values[column] - own[column - start] / (curvature[column] * grid)
            integer = torch.where(gone[column], origin, best.round_().clamp_(-top, top - 1))
            steps[column - start] = (integer - values[column]) * grid
            values[column] = integer
            own.addr_(hessian[column, start:stop], steps[column - start])
        slope.addmm_(hessian[:, start:stop], steps)
    return Quantized(values.T.to(torch.int8).contiguous(), quantized.scale, quantized.bits, quantized.zero)
