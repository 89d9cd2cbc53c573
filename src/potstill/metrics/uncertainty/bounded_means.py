"""Bounds of the mean of scores that can't leave a range, which rare large losses do not deceive."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potstill.metrics.uncertainty.interval import LEVEL, Interval
from potstill.metrics.uncertainty.means import cluster_sums

Floats = NDArray[np.float64]
NORMAL = NormalDist()


@dataclass(frozen=True)
class BoundedMean:
    """Differences of rows, none of which can be further from 0 than `largest`: sums by cluster, and how often each is.

    Rows that nobody drew may lose more than all that were drawn. So one row is added that loses the most, and the mean
    weighs rows at random, by Dirichlet's distribution with all ones: the share of weights by which the mean is at most
    `-within` is the p of a loss of at least `within`. Of scores that are 0 or 1 this is Clopper and Pearson's bound, of
    n rows that are all alike the one of no event in n, (1 - within / largest)^n; of many dense differences it comes
    near Student's. That it is never too small is conjectured and was never refuted; the tests simulate it.

    N. Gaffke, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable",
    Mathematical Methods of Statistics 14 (2005); E. Learned-Miller and P. S. Thomas, "A new confidence interval for the
    mean of a bounded random variable" (2019, arXiv 1905.06208).
    """

    sums: Floats
    """Distinct pairs' sums of differences [k]."""
    sizes: Floats
    """Rows of each cluster among them [k]; 1 without clusters."""
    counts: Floats
    """How many clusters are such [k]."""
    largest: float
    """The largest difference that a row can have."""

    @property
    def mean(self) -> float:
        """Return the mean difference of the rows."""
        return float((self.sums * self.counts).sum() / (self.sizes * self.counts).sum())

    def p_loss(self, within: float) -> float:
        """Return the p that the mean is `-within` or less."""
        worst = (within - self.largest) * self.sizes.max()
        values = np.append(self.sums + within * self.sizes, worst)
        return _not_above_zero(values, np.append(self.counts, 1.0))

    def interval(self, level: float = LEVEL) -> Interval:
        """Return the mean with its bounds, each of them wrong in (1 - `level`) / 2 of samples at most.

        The error is that of Bonett and Price, for any differences: with one cluster more that gains the most, and one
        that loses it, so that it is never 0.
        """
        upwards = BoundedMean(-self.sums, self.sizes, self.counts, self.largest)
        tail = (1 - level) / 2
        error = self._error()
        low = -_crossing(self.p_loss, -self.mean, self.largest, error, tail)
        high = _crossing(upwards.p_loss, self.mean, self.largest, error, tail)
        return Interval(self.mean, low, high, error)

    def _error(self) -> float:
        rows, clusters = float((self.sizes * self.counts).sum()), float(self.counts.sum())
        typical = rows / clusters
        spread = float((self.counts * (self.sums - self.mean * self.sizes) ** 2).sum())
        return math.sqrt(spread + 2 * (self.largest * typical) ** 2) / (rows + 2 * typical)


def bounded_mean(differences: ArrayLike, largest: float, clusters: Sequence[Hashable] | None = None) -> BoundedMean:
    """Return what the rows' differences [n] say of their mean, if none can be further from 0 than `largest`.

    Of rows in clusters, clusters are what is drawn; that none is larger than the largest here is assumed.

    Raises:
        ValueError: there are no differences, one is larger than `largest` or NaN, or there are not as many clusters.

    >>> round(bounded_mean([0.0] * 183, 1).p_loss(0.02), 4)
    0.0248
    """
    values = np.asarray(differences, dtype=float)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"a mean needs one score a row and at least one row, got the shape {values.shape}")
    # a sum of floats may be a rounding beyond
    if not largest > 0 or not float(np.abs(values).max()) <= largest * (1 + 1e-9):
        raise ValueError(f"differences of up to {np.abs(values).max():.4g}, and the largest possible one is {largest}")
    if clusters is None:
        sums, counts = np.unique(values, return_counts=True)
        return BoundedMean(sums, np.ones(len(sums)), counts.astype(float), float(largest))
    both = cluster_sums(np.stack([values, np.ones(len(values))], axis=1), clusters)
    pairs, counts = np.unique(both, axis=0, return_counts=True)
    return BoundedMean(pairs[:, 0], pairs[:, 1], counts.astype(float), float(largest))


def _not_above_zero(values: Floats, counts: Floats) -> float:
    """Return the probability that a sum of `values` [k], each times a gamma of shape `counts` [k], is at most 0.

    The sum's moment generating function is exp(K(t)), K(t) = -sum of counts * log(1 - t * values). Its inversion is
    integrated on a line through the saddle point of K, where nothing cancels, by the trapezoid rule in sinh: H. E.
    Daniels, "Saddlepoint approximations in statistics", Annals of Mathematical Statistics 25 (1954), section 2, and not
    approximated.
    """
    if values.max() <= 0:
        return 1.0
    if values.min() >= 0:
        return 0.0
    low, high = 1 / float(values.min()), 1 / float(values.max())
    for _ in range(45):
        middle = (low + high) / 2
        rises = float((counts * values / (1 - values * middle)).sum()) > 0
        low, high = (low, middle) if rises else (middle, high)
    point = (low + high) / 2
    scale = 1 / math.sqrt(float((counts * (values / (1 - values * point)) ** 2).sum()))
    # the integrand has its pole at 0, and must be smooth for the steps; 1 / scale is above every value there
    if abs(point) < scale / 2:
        point = -scale / 2
    step, total = 0.1, 0.0
    # in blocks, as most integrands end within the first
    for start in range(0, 320, 40):
        along = np.arange(start, start + 40) * step
        line = point + 1j * scale * np.sinh(along)
        exponents = -(counts[:, None] * np.log(1 - values[:, None] * line)).sum(axis=0)
        parts = np.real(np.exp(exponents) / -line) * scale * np.cosh(along)
        total += float(parts.sum()) - (float(parts[0]) / 2 if start == 0 else 0.0)
        if abs(parts[-1]) <= 1e-12 * abs(total) or exponents[-1].real < -700:
            break
    area = step * total / math.pi
    return min(1.0, max(0.0, area if point < 0 else 1 + area))


def _crossing(p_of: Callable[[float], float], low: float, high: float, error: float, p: float) -> float:
    """Return where a falling `p_of` reaches `p` between two losses, by false position on normal quantiles.

    These are nearly straight in the loss. `low` is the mean, and `error` says how far the first step goes.
    """

    def above(loss: float) -> float:
        return NORMAL.inv_cdf(min(1 - 1e-15, max(p_of(loss), 1e-300))) - NORMAL.inv_cdf(p)

    at_low, at_high = above(low), -math.inf
    if at_low <= 0:
        return low
    loss, side = low - NORMAL.inv_cdf(p) * error, 0
    for _ in range(60):
        if not low < loss < high:
            loss = (low + high) / 2
        value = above(loss)
        if abs(value) < 1e-7 or high - low < 1e-12:
            return loss
        # an end that stays counts half, else it would stay (the Illinois rule)
        if value > 0:
            low, at_low, at_high, side = loss, value, at_high / 2 if side == 1 else at_high, 1
        else:
            high, at_high, at_low, side = loss, value, at_low / 2 if side == -1 else at_low, -1
        loss = loss + error if math.isinf(at_high) else (low * at_high - high * at_low) / (at_high - at_low)
    return high
