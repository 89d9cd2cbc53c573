"""A weight's rows a few at a time: what is made of them on the way then takes the same memory in a layer of any size.

The one rule by which compression holds little beside a model in its own type: what is computed row by row (rounding,
errors, masks, ranges) is computed in slabs, in float32, and only its result is held for the whole layer.

Shapes: O output features, I input features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

MOST = 2**20
"""Weights of a slab: 4 MB in float32."""


def slabs(weight: Tensor, most: int | None = None) -> Iterator[slice]:
    """Yield the slices of rows that together are `weight` [O, I], each of at most so many weights, or of one row.

    By default `MOST` of them.

    >>> list(slabs(torch.empty(5, 4), 8))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None)]
    """
    rows = max((most or MOST) // max(weight.shape[1:].numel(), 1), 1)
    for start in range(0, max(len(weight), 1), rows):
        yield slice(start, start + rows)


def by_slabs(weight: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Return `change` of every row of `weight` [O, I], which must depend on no other row."""
    return torch.cat([change(weight[rows]) for rows in slabs(weight)])
