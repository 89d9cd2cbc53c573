"""Pruning masks from scores, shared by magnitude pruning, Wanda and SparseGPT.

A mask is bool and True where a weight stays. Of equal scores the first go, so every choice is exact and repeatable.

Shapes: O output features, I input features, G groups of weights that share their fate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from potstill.compression.pruning.nm_pattern import NM

HALF = 16
"""Bits of a score that are counted at once."""


def share_of(count: int, sparsity: float) -> int:
    """Return how many of `count` go: the share `sparsity`, rounded down, so that at least one stays.

    Raises:
        ValueError: `sparsity` is out of range.
    """
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity is {sparsity}: it must be at least 0 and below 1")
    # the small term keeps 100 * 0.29 = 28.999... from losing a weight
    return min(int(count * sparsity + 1e-6), max(count - 1, 0))


def by_row(score: Tensor, count: int) -> Tensor:
    """Return the mask [O, I] without the `count` lowest of each row of `score` [O, I]."""
    # stable, so that of equal scores the first go, on every device
    order = torch.sort(score, dim=1, stable=True).indices[:, :count]
    return torch.ones_like(score, dtype=torch.bool).scatter_(1, order, False)


def by_pattern(score: Tensor, pattern: NM) -> Tensor:
    """Return the mask [O, I] with the `pattern.kept` highest of every group of `score` [O, I]."""
    groups = score.reshape(-1, pattern.group)
    return by_row(groups, pattern.group - pattern.kept).reshape(score.shape)


def overall(score: Tensor, count: int) -> Tensor:
    """Return the mask [O, I] without the `count` lowest of all of `score` [O, I]."""
    return by_row(score.reshape(1, -1), count).reshape(score.shape)


def among(scores: Sequence[Callable[[], Tensor]], sizes: Sequence[int], count: int) -> Iterator[Tensor]:
    """Yield for each tensor of scores the mask without the lowest of all of them, `count` weights in total.

    The bits of a score, counted by their upper and then by their lower half, give the threshold exactly: scores are
    recomputed in each of the three passes and not held, so the memory is that of one tensor.

    Args:
        scores: each makes the scores [O, G] of one layer, at least 0.
        sizes: weights behind one score of each layer; groups go as a whole, so fewer than `count` weights may go.
        count: weights that go.
    """
    first, rest = _first_to_stay(scores, sizes, count)
    for make, size in zip(scores, sizes, strict=True):
        bits = _bits(make())
        gone = bits < first
        # the first score to stay may be that of several groups: as many of them as there is room for go
        ties = (bits == first).flatten().nonzero().flatten()[: rest // size]
        gone.view(-1)[ties] = True
        rest -= len(ties) * size
        yield ~gone


def _first_to_stay(scores: Sequence[Callable[[], Tensor]], sizes: Sequence[int], count: int) -> tuple[int, int]:
    """Return the bits of the lowest score whose weights can't all go, and what is left of `count` by then."""
    # a histogram of the upper 16 bits, then of the lower 16 within the bin that holds the threshold
    upper, rest = _first_beyond((_bits(make()) >> HALF for make in scores), sizes, count)
    within = (bits[bits >> HALF == upper] % 2**HALF for bits in (_bits(make()) for make in scores))
    lower, rest = _first_beyond(within, sizes, rest)
    return upper * 2**HALF + lower, rest


def _first_beyond(values: Iterable[Tensor], sizes: Sequence[int], count: int) -> tuple[int, int]:
    """Return the lowest number up to which there are more than `count` weights, and what is left of `count` before it.

    Args:
        values: numbers of `HALF` bits, a tensor a layer.
        sizes: weights behind one number of each layer.
        count: weights that may go.
    """
    bins = torch.zeros(2**HALF, dtype=torch.int64)
    for each, size in zip(values, sizes, strict=True):
        bins += torch.bincount(each.flatten(), minlength=2**HALF).cpu() * size
    totals = bins.cumsum(0)
    place = int(torch.searchsorted(totals, count, right=True))
    return place, count - (int(totals[place - 1]) if place else 0)


def _bits(score: Tensor) -> Tensor:
    """Return the bits of scores as int32: of numbers that are not negative they have the same order."""
    # adding 0 makes -0, whose bits are those of the lowest number, into 0
    return (score.float() + 0.0).contiguous().view(torch.int32)
