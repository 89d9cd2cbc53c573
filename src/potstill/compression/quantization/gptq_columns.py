"""GPTQ's loop over the columns of a weight, for several orders of them at once (Frantar et al. 2022, algorithm 1).

Shapes: O output features, I input features, G groups of inputs, P orders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from potstill.compression.quantization import rounding
from potstill.compression.quantization.rounding import Quantized

BLOCK = 128
"""Columns whose updates of the rest are applied at once ("lazy batch-updates", section 4, step 2)."""


@dataclass(frozen=True)
class Order:
    """An order in which columns are rounded."""

    columns: Tensor
    """Input features in that order [I]."""
    factor: Tensor
    """From `gptq.inverse_factor`, in that order [I, I]."""
    follows: bool
    """Whether scales are those of the updated weights, which a group must be a run of columns for, or fixed before."""


def by_columns(
    weight: Tensor, orders: Sequence[Order], bits: int, group_size: int, scale_type: torch.dtype, symmetric: bool
) -> list[Quantized]:
    """Quantize `weight` [O, I] in each of the P `orders`, all at once: the loop over the columns is what takes time.

    As `gptq.compensated`, with inputs first [P, I, O], so that a column's weights lie side by side.
    """
    width, top = weight.shape[1], 2 ** (bits - 1)
    if width % group_size or (BLOCK % group_size and group_size % BLOCK):
        raise ValueError(f"groups of {group_size} don't fit {width} input features and blocks of {BLOCK}")
    whole = rounding.quantize(weight, bits, group_size, scale_type, symmetric)
    rest = torch.stack([weight.float().T[order.columns] for order in orders])
    scale = torch.stack([whole.scale.float().T[order.columns // group_size] for order in orders])
    zero = torch.zeros_like(scale)
    if whole.zero is not None:
        zero = torch.stack([whole.zero.float().T[order.columns // group_size] for order in orders])
    # pruned weights must stay 0, though compensation changes them before their column comes
    gone = rest == 0
    sparse = bool(gone.any())
    values = torch.empty_like(rest)
    for start in range(0, width, BLOCK):
        stop = min(start + BLOCK, width)
        # the rows of this block only: of a wide layer whole copies would take more than the layer
        factor = torch.stack([order.factor[start:stop] for order in orders])
        # lazy batch updates: one large product per block instead of one per column
        errors = torch.empty_like(rest[:, start:stop])
        for column in range(start, stop):
            # the scale of a group is taken when its first column comes, from weights that hold the compensation so far
            if column % group_size == 0:
                group = slice(column, column + group_size)
                for number, order in enumerate(orders):
                    if order.follows:
                        grid = rounding.fit_grid(rest[number, group].T, bits, scale_type, symmetric)
                        scale[number, group] = grid.scale.float().T
                        zero[number, group] = 0 if grid.zero is None else grid.zero.float().T
            integers = torch.round(rest[:, column] / scale[:, column])
            integers = integers.add_(zero[:, column]).clamp_(-top, top - 1)
            if sparse:
                # compensation would bring pruned weights back
                integers = torch.where(gone[:, column], zero[:, column], integers)
            values[:, column] = integers
            reached = (integers - zero[:, column]) * scale[:, column]
            error = (rest[:, column] - reached) / factor[:, column - start, column, None]
            errors[:, column - start] = error
            # within the block the error reaches later columns at once; those behind it get all errors in one product
            row = factor[:, column - start, column + 1 : stop, None]
            rest[:, column + 1 : stop].baddbmm_(row, error[:, None], alpha=-1)
        rest[:, stop:].baddbmm_(factor[:, :, stop:].transpose(1, 2), errors, alpha=-1)
    return [_gathered(*parts, group_size, bits, whole) for parts in zip(orders, values, scale, zero, strict=True)]


def _gathered(
    order: Order, values: Tensor, scale: Tensor, zero: Tensor, group_size: int, bits: int, like: Quantized
) -> Quantized:
    """Return the results of an `order`, each [I, O], back in the order of the features and stored as in `like`."""
    back = order.columns.argsort()

    def stored(parts: Tensor, dtype: torch.dtype, step: int) -> Tensor:
        return parts[back][::step].T.to(dtype).contiguous()

    zeros = None if like.zero is None else stored(zero, torch.int8, group_size)
    return Quantized(stored(values, torch.int8, 1), stored(scale, like.scale.dtype, group_size), bits, zeros)
