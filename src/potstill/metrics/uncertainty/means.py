"""Means of scores with their errors: of rows, of rows in clusters, and of rows by several seeds."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potstill.metrics.significance import student_p
from potstill.metrics.uncertainty.interval import LEVEL, Interval, around, t_of


def mean_interval(scores: ArrayLike, clusters: Sequence[Hashable] | None = None, level: float = LEVEL) -> Interval:
    """Return the mean of rows' scores, whose clusters are a sample of many; of paired differences, that of models.

    Rows of one cluster (questions on one passage, rows from one seed task) are alike, so that they say less than as
    many others. With m clusters the variance is m / (m - 1) * sum over clusters of (sum of s - mean)^2 / n^2, and the
    interval that of Student's distribution with m - 1 degrees; of one cluster it has no ends.

    E. Miller, "Adding error bars to evals" (2024, arXiv 2411.00640), sections 2.1 and 2.2, with the factor for few
    clusters of A. C. Cameron and D. L. Miller, "A practitioner's guide to cluster-robust inference", Journal of Human
    Resources 50 (2015), without regressors. Without clusters it is the usual standard error.

    Raises:
        ValueError: there are no scores, or not as many clusters.

    >>> round(mean_interval([1, 1, 0, 0], ["a", "a", "b", "b"]).error, 3)
    0.5
    >>> round(mean_interval([1, 1, 0, 0]).error, 3)
    0.289
    """
    values = np.asarray(scores, dtype=float)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"a mean needs one score a row and at least one row, got the shape {values.shape}")
    mean = float(values.mean())
    # without clusters each row is one of its own, and the formula is the usual one
    sums = values - mean if clusters is None else cluster_sums(values - mean, clusters)
    count = len(sums)
    if count < 2:
        return Interval(mean, -math.inf, math.inf)
    error = math.sqrt(count / (count - 1) * float((sums**2).sum())) / len(values)
    return around(mean, error, t_of(level, count - 1) * error)


def cluster_sums(values: NDArray[np.float64], clusters: Sequence[Hashable]) -> NDArray[np.float64]:
    """Return the sums of `values` [n] or [n, k] over the rows of each cluster, in the order in which they first come.

    Raises:
        ValueError: there are not as many clusters as rows.
    """
    if len(clusters) != len(values):
        raise ValueError(f"{len(values)} rows have {len(clusters)} clusters: give each row one")
    numbers: dict[Hashable, int] = {}
    places = [numbers.setdefault(cluster, len(numbers)) for cluster in clusters]
    sums = np.zeros((len(numbers), *values.shape[1:]))
    # `sums[places] += values` would add only one row of each cluster
    np.add.at(sums, places, values)
    return sums


@dataclass(frozen=True)
class SeedsMean:
    """The mean of a table of rows by seeds, both of them samples of many, with what each of them adds to its variance.

    Rows times seeds are no independent scores: a row is hard for all seeds, and a seed good on all rows. With the mean
    squares of a two-way table, MS_r of rows, MS_s of seeds and MS_e of the rest, the variance of the mean is
    (MS_r + MS_s - MS_e) / (n S); a component of rows that would be negative counts as none. The interval takes each
    part by its own quantile of Student's distribution, MS_s / (n S) with S - 1 degrees and the rest with n - 1: of two
    or three seeds that differ, the degrees of freedom that Satterthwaite's sum gives them are too many. What seeds are
    good for is taken to be normally distributed.

    S. R. Searle, G. Casella and C. E. McCulloch, "Variance components" (1992; two ways, crossed, random, one score a
    cell); W. G. Howe, "Approximate confidence limits on the mean of X + Y where X and Y are two tabled independent
    random variables", Journal of the American Statistical Association 69 (1974).
    """

    value: float
    """The mean."""
    of_seeds: float
    """Variance of the mean over seeds, with what of the rest goes with it: MS_s / (n S)."""
    of_rows: float
    """Variance that rows add to it: (MS_r - MS_e) / (n S)."""
    seeds: int
    """Number of seeds."""
    rows: int
    """Number of rows, or of their clusters."""

    @property
    def error(self) -> float:
        """Return the standard error."""
        return math.sqrt(self.of_seeds + self.of_rows)

    def interval(self, level: float = LEVEL) -> Interval:
        """Return the mean with its interval."""
        parts = (self.of_seeds, self.seeds - 1), (self.of_rows, self.rows - 1)
        half = math.hypot(*(t_of(level, freedom) * math.sqrt(part) for part, freedom in parts))
        return around(self.value, self.error, half)

    def p_loss(self, within: float) -> float:
        """Return the one-sided p that the mean is `-within` or less: of the interval that ends there."""
        tail = self._tail(abs(self.value + within))
        return tail if self.value + within >= 0 else 1 - tail

    def _tail(self, distance: float) -> float:
        """Return half the error of the interval that is `distance` wide on either side of the mean.

        Its square is the sum of both parts', which an angle divides: both quantiles have the same tail.
        """
        spread, others = math.sqrt(self.of_seeds), math.sqrt(self.of_rows)
        if not spread or not others:
            freedom, whole = (self.rows - 1, others) if others else (self.seeds - 1, spread)
            return student_p(distance / whole, freedom) / 2 if whole else 0.5 * (not distance)
        low, high = 0.0, math.pi / 2
        for _ in range(40):
            middle = (low + high) / 2
            of_seeds = student_p(distance * math.cos(middle) / spread, self.seeds - 1)
            of_rows = student_p(distance * math.sin(middle) / others, self.rows - 1)
            low, high = (middle, high) if of_seeds < of_rows else (low, middle)
        return student_p(distance * math.cos(low) / spread, self.seeds - 1) / 2


def seeds_mean(scores: ArrayLike, clusters: Sequence[Hashable] | None = None) -> SeedsMean:
    """Return the mean of `scores` [S, n], of n rows by each of S seeds; of differences, that of models.

    Of rows in clusters, what varies is the clusters' sums, as in `mean_interval`.

    Raises:
        ValueError: there are fewer than two seeds, or rows or clusters, or not as many clusters.

    >>> seeds_mean([[1, 0, 1, 1], [1, 0, 1, 0]]).value
    0.625
    """
    table = np.asarray(scores, dtype=float)
    if table.ndim == 2 and clusters is not None:
        mean = float(table.mean())
        sums = cluster_sums((table - mean).T, clusters).T
        table = mean + sums * sums.shape[1] / table.shape[1]
    if table.ndim != 2 or min(table.shape) < 2:
        raise ValueError(f"several seeds need the scores of at least 2 seeds on at least 2 rows, got {table.shape}")
    seeds, rows = table.shape
    mean = float(table.mean())
    of_rows, of_seeds = table.mean(axis=0), table.mean(axis=1)
    # what neither the row nor the seed explains: interaction and noise
    rest = table - of_rows - of_seeds[:, None] + mean
    ms_rest = float((rest**2).sum()) / ((seeds - 1) * (rows - 1))
    ms_rows = seeds * float(((of_rows - mean) ** 2).sum()) / (rows - 1)
    ms_seeds = rows * float(((of_seeds - mean) ** 2).sum()) / (seeds - 1)
    return SeedsMean(mean, ms_seeds / table.size, max(0.0, ms_rows - ms_rest) / table.size, seeds, rows)


def seeds_interval(scores: ArrayLike, level: float = LEVEL) -> Interval:
    """Return the mean of `scores` [S, n], of n rows by each of S seeds, with the interval of `SeedsMean`.

    Raises:
        ValueError: there are fewer than two seeds or rows.

    >>> seeds_interval([[1, 0, 1, 1], [1, 0, 1, 0]]).value
    0.625
    """
    return seeds_mean(scores).interval(level)
