"""Means of scores with their errors: of rows, of rows in clusters, and of rows by several seeds."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def seeds_interval(scores: ArrayLike, level: float = LEVEL) -> Interval:
    """Return the mean of `scores` [S, n], of n rows by each of S seeds, both of them samples of many.

    Rows times seeds are no independent scores: a row is hard for all seeds, and a seed good on all rows. With the mean
    squares of a two-way table, MS_r of rows, MS_s of seeds and MS_e of the rest, the variance of the mean is
    (MS_r + MS_s - MS_e) / (n S); a component that would be negative counts as none. Degrees of freedom are
    Satterthwaite's.

    S. R. Searle, G. Casella and C. E. McCulloch, "Variance components" (1992; two ways, crossed, random,
    one score a cell); F. E. Satterthwaite, "An approximate distribution of estimates of variance components",
    Biometrics Bulletin 2 (1946).

    Raises:
        ValueError: there are fewer than two seeds or rows.

    >>> seeds_interval([[1, 0, 1, 1], [1, 0, 1, 0]]).value
    0.625
    """
    table = np.asarray(scores, dtype=float)
    if table.ndim != 2 or min(table.shape) < 2:
        raise ValueError(f"several seeds need the scores of at least 2 seeds on at least 2 rows, got {table.shape}")
    seeds, rows = table.shape
    mean = float(table.mean())
    of_rows, of_seeds = table.mean(axis=0), table.mean(axis=1)
    # what neither the row nor the seed explains: interaction and noise
    rest = table - of_rows - of_seeds[:, None] + mean
    ms_rest = float((rest**2).sum()) / ((seeds - 1) * (rows - 1))
    # at least MS_e: else the component of the rows, MS_r - MS_e over the seeds, would be negative
    ms_rows = max(ms_rest, seeds * float(((of_rows - mean) ** 2).sum()) / (rows - 1))
    ms_seeds = max(ms_rest, rows * float(((of_seeds - mean) ** 2).sum()) / (seeds - 1))
    total = ms_rows + ms_seeds - ms_rest
    error = math.sqrt(total / (rows * seeds))
    # Satterthwaite: total^2 over the sum of each MS^2 by its degrees of freedom
    spread = ms_rows**2 / (rows - 1) + ms_seeds**2 / (seeds - 1) + ms_rest**2 / ((rows - 1) * (seeds - 1))
    freedom = total**2 / spread if spread else seeds - 1
    return around(mean, error, t_of(level, max(1, math.floor(freedom))) * error)
