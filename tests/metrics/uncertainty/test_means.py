"""Intervals of means, of rows, clusters and seeds, hold the truth as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from potstill.metrics.uncertainty.means import mean_interval, seeds_interval, seeds_mean


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


@pytest.mark.parametrize("of_seeds", [0.0, 0.5, 2.0, 6.0])
@pytest.mark.parametrize(
    ("seeds", "rows", "of_rows"), [(2, 60, 1.0), (2, 60, 0.0), (3, 100, 1.0), (5, 50, 1.0), (8, 40, 0.3)]
)
def test_the_interval_of_several_seeds_holds_the_mean(seeds, rows, of_rows, of_seeds):
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(500):
        # what a seed is good for is `of_seeds` times the error that the rest leaves of its mean
        seed, row = rng.normal(size=(seeds, 1)) / math.sqrt(rows), of_rows * rng.normal(size=rows)
        actual = seeds_interval(row + of_seeds * seed + rng.normal(size=(seeds, rows)))
        covered += actual.low <= 0 <= actual.high
    # 0.95 less four standard errors of 500
    assert covered / 500 > 0.911
    assert covered / 500 < 0.985 or seeds < 5


@pytest.mark.parametrize(("seeds", "rows", "of_seeds"), [(5, 50, 0.3), (8, 100, 0.0), (4, 30, 1.0)])
def test_the_interval_of_several_seeds_is_not_wide_either(seeds, rows, of_seeds):
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(500):
        seed, row = rng.normal(size=(seeds, 1)), rng.normal(size=rows)
        actual = seeds_interval(row + of_seeds * seed + rng.normal(size=(seeds, rows)))
        covered += actual.low <= 0 <= actual.high
    assert 0.92 < covered / 500 < 0.99


def test_intervals_of_rows_alone_do_not_hold_the_mean_where_seeds_differ():
    rng = np.random.default_rng(4)
    naive = 0
    for _ in range(300):
        table = rng.normal(size=60) + 0.5 * rng.normal(size=(3, 1)) + rng.normal(size=(3, 60))
        plain = mean_interval(table.mean(axis=0))
        naive += plain.low <= 0 <= plain.high
    assert naive / 300 < 0.8


def test_the_interval_of_seeds_holds_the_mean_where_rows_come_in_clusters():
    rng = np.random.default_rng(5)
    clusters = np.repeat(np.arange(20), 5).tolist()
    covered = plain = 0
    for _ in range(400):
        row = np.repeat(rng.normal(size=20), 5) + rng.normal(size=100)
        table = row + 0.2 * rng.normal(size=(3, 1)) + rng.normal(size=(3, 100))
        actual, other = seeds_mean(table, clusters).interval(), seeds_mean(table).interval()
        covered += actual.low <= 0 <= actual.high
        plain += other.low <= 0 <= other.high
    assert covered / 400 > 0.92 and plain < covered
    table = rng.normal(size=(3, 100))
    alone, other = seeds_mean(table, list(range(100))).interval(), seeds_mean(table).interval()
    assert (alone.low, alone.high) == pytest.approx((other.low, other.high))


@pytest.mark.parametrize("of_seeds", [0.0, 0.1, 3.0])
def test_the_p_of_seeds_is_that_of_the_interval_which_ends_at_the_loss(of_seeds):
    rng = np.random.default_rng(6)
    table = rng.normal(size=(3, 1)) * of_seeds + rng.normal(size=(3, 80)) + rng.normal(size=80)
    mean = seeds_mean(table)
    for level in (0.5, 0.9, 0.95, 0.999):
        assert mean.p_loss(-mean.interval(level).low) == pytest.approx((1 - level) / 2, rel=1e-6)
        assert mean.p_loss(-mean.interval(level).high) == pytest.approx((1 + level) / 2, rel=1e-6)


def test_where_only_seeds_differ_the_interval_is_students_of_their_means():
    means = np.array([0.1, 0.5, 0.3, 0.7])
    actual = seeds_interval(np.tile(means[:, None], (1, 30)))
    low, high = stats.t.interval(0.95, 3, means.mean(), stats.sem(means))
    assert (actual.low, actual.high) == pytest.approx((low, high), rel=1e-6)


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
