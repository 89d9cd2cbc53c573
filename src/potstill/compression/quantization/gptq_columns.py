"""GPTQ's loop over the columns of a weight, for several orders of them at once (Frantar et al. 2022, algorithm 1).

A group's range is cut where that costs less, as in the code that GPTQ's authors published (`clipping`). What an error
in a column costs, when later columns make up for it as far as they can, is its square by that of the factor's diagonal
(equation 2): by these costs, which the loop itself pays, a cut is chosen.

Shapes: O output features, I input features, G groups of inputs, P orders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from potstill.compression.quantization import clipping
from potstill.compression.quantization.rounding import Grid, Quantized

BLOCK = 128
"""Columns whose updates of the rest are applied at once ("lazy batch-updates", section 4, step 2)."""
SHARES = clipping.SHARES[:14]
"""Shares of a group's range that are tried: down to two thirds; below, the first columns pay for what the last gain."""


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
    rest = torch.stack([weight.float().T[order.columns] for order in orders])
    factor = torch.stack([order.factor for order in orders])
    scale, zero = torch.ones_like(rest), torch.zeros_like(rest)
    for number, order in enumerate(orders):
        if not order.follows:
            scale[number], zero[number] = _fixed(weight, order, bits, group_size, scale_type, symmetric)
    # pruned weights must stay 0, though compensation changes them before their column comes
    gone = rest == 0
    sparse = bool(gone.any())
    values = torch.empty_like(rest)
    for start in range(0, width, BLOCK):
        stop = min(start + BLOCK, width)
        # lazy batch updates: one large product per block instead of one per column
        errors = torch.empty_like(rest[:, start:stop])
        for column in range(start, stop):
            # the scale of a group is taken when its first column comes, from weights that hold the compensation so far
            if column % group_size == 0:
                group = slice(column, column + group_size)
                for number, order in enumerate(orders):
                    if order.follows:
                        costs = _costs(order.factor)[group]
                        grid = _cut_off(rest[number, group].T, costs, bits, scale_type, symmetric)
                        scale[number, group] = grid.scale.float().T
                        zero[number, group] = 0 if grid.zero is None else grid.zero.float().T
            integers = torch.round(rest[:, column] / scale[:, column])
            integers = integers.add_(zero[:, column]).clamp_(-top, top - 1)
            if sparse:
                # compensation would bring pruned weights back
                integers = torch.where(gone[:, column], zero[:, column], integers)
            values[:, column] = integers
            reached = (integers - zero[:, column]) * scale[:, column]
            error = (rest[:, column] - reached) / factor[:, column, column, None]
            errors[:, column - start] = error
            # within the block the error reaches later columns at once; those behind it get all errors in one product
            row = factor[:, column, column + 1 : stop, None]
            rest[:, column + 1 : stop].baddbmm_(row, error[:, None], alpha=-1)
        rest[:, stop:].baddbmm_(factor[:, start:stop, stop:].transpose(1, 2), errors, alpha=-1)
    return [
        _gathered(*parts, group_size, bits, scale_type, symmetric)
        for parts in zip(orders, values, scale, zero, strict=True)
    ]


def _costs(factor: Tensor) -> Tensor:
    """Return what the square of an error costs, by column [I], with all later columns making up for it."""
    return factor.diagonal() ** -2


def _cut_off(groups: Tensor, costs: Tensor, bits: int, scale_type: torch.dtype, symmetric: bool) -> Grid:
    """Return the grids of `groups` [..., S] that cost least, given the `costs` of their columns [..., S]."""

    def error(difference: Tensor) -> Tensor:
        return (difference.square() * costs).sum(-1, keepdim=True)

    return clipping.search(groups, error, bits, scale_type, symmetric, SHARES)


def _fixed(
    weight: Tensor, order: Order, bits: int, group_size: int, scale_type: torch.dtype, symmetric: bool
) -> tuple[Tensor, Tensor]:
    """Return the scales and zero points of the weights as they are before, by feature in the `order` [I, O]."""
    rows, width = weight.shape
    costs = torch.empty(width, device=weight.device)
    costs[order.columns] = _costs(order.factor)
    shape = (width // group_size, group_size)
    grid = _cut_off(weight.float().reshape(rows, *shape), costs.reshape(shape), bits, scale_type, symmetric)
    groups = order.columns // group_size
    scale = grid.scale.squeeze(-1).float().T[groups]
    return scale, torch.zeros_like(scale) if grid.zero is None else grid.zero.squeeze(-1).float().T[groups]


def _gathered(
    order: Order,
    values: Tensor,
    scale: Tensor,
    zero: Tensor,
    group_size: int,
    bits: int,
    scale_type: torch.dtype,
    symmetric: bool,
) -> Quantized:
    """Return the results of an `order`, each [I, O], back in the order of the features and as they are stored."""
    back = order.columns.argsort()

    def stored(parts: Tensor, dtype: torch.dtype, step: int) -> Tensor:
        return parts[back][::step].T.to(dtype).contiguous()

    zeros = None if symmetric else stored(zero, torch.int8, group_size)
    return Quantized(stored(values, torch.int8, 1), stored(scale, scale_type, group_size), bits, zeros)
