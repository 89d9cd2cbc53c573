"""Intervals of means, of rows, clusters and seeds, hold the truth as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from potstill.metrics.uncertainty.means import mean_interval, seeds_interval


def test_a_mean_has_students_interval():
    scores = np.random.default_rng(0).normal(0.3, 2, 25)
    actual = mean_interval(scores)
    low, high = stats.t.interval(0.95, 24, scores.mean(), stats.sem(scores))
    assert (actual.low, actual.high) == pytest.approx((low, high), rel=1e-4)


def test_the_error_of_clusters_is_millers_formula():
    rng = np.random.default_rng(1)
    clusters = rng.integers(0, 12, 60)
    scores = rng.normal(size=60) + rng.normal(size=12)[clusters]
    rest = scores - scores.mean()
    # Miller 2024, section 2.2: the sum over pairs of rows in one cluster
    within = sum(rest[i] * rest[j] for i in range(60) for j in range(60) if clusters[i] == clusters[j])
    m = len(set(clusters))
    assert mean_interval(scores, clusters.tolist()).error == pytest.approx(math.sqrt(m / (m - 1) * within) / 60)
    alone = mean_interval(scores, list(range(60)))
    assert alone.error == pytest.approx(mean_interval(scores).error)


def test_the_interval_of_clusters_holds_the_mean_and_one_without_does_not():
    rng = np.random.default_rng(2)
    clusters = np.repeat(np.arange(20), 10).tolist()
    covered = naive = 0
    for _ in range(600):
        scores = rng.normal(size=20).repeat(10) + rng.normal(size=200)
        actual, plain = mean_interval(scores, clusters), mean_interval(scores)
        covered += actual.low <= 0 <= actual.high
        naive += plain.low <= 0 <= plain.high
    assert 0.93 < covered / 600 < 0.975
    assert naive / 600 < 0.75


@pytest.mark.parametrize(("seeds", "rows", "of_seeds"), [(5, 50, 0.3), (8, 100, 0.0), (4, 30, 1.0)])
def test_the_interval_of_several_seeds_holds_the_mean(seeds, rows, of_seeds):
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(500):
        seed, row = rng.normal(size=(seeds, 1)), rng.normal(size=rows)
        actual = seeds_interval(row + of_seeds * seed + rng.normal(size=(seeds, rows)))
        covered += actual.low <= 0 <= actual.high
    assert 0.92 < covered / 500 < 0.99


def test_the_error_of_seeds_is_that_of_the_rows_where_all_seeds_are_equal():
    row = np.random.default_rng(4).normal(size=30)
    assert seeds_interval(np.tile(row, (3, 1))).error == pytest.approx(stats.sem(row))
    assert seeds_interval(np.ones((3, 4))).error == 0
    with pytest.raises(ValueError, match="at least 2 seeds"):
        seeds_interval([[1, 2, 3]])


def test_a_mean_of_one_row_or_one_cluster_has_no_ends():
    assert mean_interval([0.4]).low == -math.inf
    assert mean_interval([0.4, 0.6], ["a", "a"]).high == math.inf
    with pytest.raises(ValueError, match="at least one row"):
        mean_interval([])
    with pytest.raises(ValueError, match="3 rows have 1 clusters"):
        mean_interval([1, 2, 3], ["a"])
