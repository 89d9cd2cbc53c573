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
from potstill.compression.slabs import slabs

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
    # by group and not by column, and integers as such: in float32 they would take as much as `rest` each
    groups = torch.stack([order.columns // group_size for order in orders])
    each = torch.arange(len(orders), device=weight.device)
    scale = rest.new_ones(len(orders), width // group_size, len(weight))
    zero = None if symmetric else torch.zeros_like(scale)
    for number, order in enumerate(orders):
        if not order.follows:
            for rows in slabs(weight):
                grid = _fixed(weight[rows], order, bits, group_size, scale_type, symmetric)
                _take(grid, scale, zero, (number, slice(None), rows))
    # pruned weights must stay 0, though compensation changes them before their column comes
    gone = rest == 0 if bool((weight == 0).any()) else None
    values = torch.empty(rest.shape, dtype=torch.int8, device=weight.device)
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
                        costs = _costs(order.factor)[group]
                        grid = _cut_off(rest[number, group].T, costs, bits, scale_type, symmetric)
                        _take(grid, scale, zero, (number, column // group_size))
            own = scale[each, groups[:, column]]
            shift = torch.zeros_like(own) if zero is None else zero[each, groups[:, column]]
            integers = torch.round(rest[:, column] / own)
            integers = integers.add_(shift).clamp_(-top, top - 1)
            if gone is not None:
                # compensation would bring pruned weights back
                integers = torch.where(gone[:, column], shift, integers)
            values[:, column] = integers
            reached = (integers - shift) * own
            error = (rest[:, column] - reached) / factor[:, column - start, column, None]
            errors[:, column - start] = error
            # within the block the error reaches later columns at once; those behind it get all errors in one product
            row = factor[:, column - start, column + 1 : stop, None]
            rest[:, column + 1 : stop].baddbmm_(row, error[:, None], alpha=-1)
        rest[:, stop:].baddbmm_(factor[:, :, stop:].transpose(1, 2), errors, alpha=-1)
    del rest
    zeros = [None] * len(orders) if zero is None else list(zero)
    return [_gathered(*parts, bits, scale_type) for parts in zip(orders, values, scale, zeros, strict=True)]


def _take(grid: Grid, scale: Tensor, zero: Tensor | None, place: tuple[int | slice, ...]) -> None:
    """Put a `grid` of groups [O, ..., 1] at its `place` among scales and zero points [P, G, O]."""
    scale[place] = grid.scale.squeeze(-1).float().movedim(0, -1)
    if zero is not None and grid.zero is not None:
        zero[place] = grid.zero.squeeze(-1).float().movedim(0, -1)


def _costs(factor: Tensor) -> Tensor:
    """Return what the square of an error costs, by column [I], with all later columns making up for it."""
    return factor.diagonal() ** -2


def _cut_off(groups: Tensor, costs: Tensor, bits: int, scale_type: torch.dtype, symmetric: bool) -> Grid:
    """Return the grids of `groups` [..., S] that cost least, given the `costs` of their columns [..., S]."""

    def error(difference: Tensor) -> Tensor:
        return (difference.square() * costs).sum(-1, keepdim=True)

    return clipping.search(groups, error, bits, scale_type, symmetric, SHARES)


def _fixed(weight: Tensor, order: Order, bits: int, group_size: int, scale_type: torch.dtype, symmetric: bool) -> Grid:
    """Return the grids of the weights as they are before [O, G, 1]."""
    rows, width = weight.shape
    costs = torch.empty(width, device=weight.device)
    costs[order.columns] = _costs(order.factor)
    shape = (width // group_size, group_size)
    return _cut_off(weight.float().reshape(rows, *shape), costs.reshape(shape), bits, scale_type, symmetric)


def _gathered(
    order: Order, values: Tensor, scale: Tensor, zero: Tensor | None, bits: int, scale_type: torch.dtype
) -> Quantized:
    """Return the results of an `order`, each [I, O] or [G, O], back in the order of the features and as stored."""
    back = order.columns.argsort()
    zeros = None if zero is None else zero.T.to(torch.int8).contiguous()
    return Quantized(values[back].T.contiguous(), scale.T.to(scale_type).contiguous(), bits, zeros)
