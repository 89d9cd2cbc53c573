"""Intervals of shares, of rows and of clusters of rows, hold the truth as often as they say, and stay on the scale."""

from __future__ import annotations

import numpy as np
import pytest

from potstill.metrics.answers import wilson
from potstill.metrics.uncertainty.means import mean_interval
from potstill.metrics.uncertainty.shares import share_interval


def rows(seed):
    """Return drawn rows, right or not, and their clusters."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 41))
    right = rng.random(count) < rng.choice([0.0, 0.1, 0.5, 0.95, 1.0])
    return right.tolist(), rng.integers(0, rng.integers(1, 8), count).tolist()


@pytest.mark.parametrize("seed", range(50))
def test_without_clusters_it_is_wilsons(seed):
    right, _ = rows(seed)
    actual, expected = share_interval(right), wilson(sum(right), len(right))
    assert (actual.value, actual.low, actual.high) == (expected.value, expected.low, expected.high)


@pytest.mark.parametrize("seed", range(200))
def test_it_stays_on_the_scale_and_is_never_narrower_than_of_single_rows(seed):
    right, clusters = rows(seed)
    actual, single = share_interval(right, clusters), share_interval(right)
    assert 0 <= actual.low <= actual.value <= actual.high <= 1
    assert actual.high - actual.low >= single.high - single.low - 1e-9


def test_it_does_not_depend_on_the_order_of_rows_or_the_names_of_clusters():
    right, clusters = [True, False, True, True, False], ["a", "a", "b", "c", "c"]
    actual = share_interval(right, clusters)
    assert share_interval(right[::-1], [f"of {name}" for name in clusters[::-1]]) == actual


def test_of_one_cluster_nothing_is_known():
    actual = share_interval([True, False, True], ["a"] * 3)
    assert (actual.low, actual.high) == (0.0, 1.0)


def test_where_all_rows_agree_each_cluster_counts_as_one():
    actual = share_interval([True] * 60, list(range(20)) * 3)
    assert (actual.low, actual.high) == (wilson(20, 20).low, 1.0)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
@pytest.mark.parametrize(("clusters", "alike"), [(12, 0.0), (12, 0.3), (40, 0.1), (40, 0.6)])
def test_it_holds_the_truth(share, clusters, alike):
    """Clusters of 2 to 15 rows, whose shares are drawn from a beta distribution with the intraclass correlation."""
    rng = np.random.default_rng(0)
    covered = by_mean = 0
    for _ in range(800):
        sizes = rng.integers(2, 16, clusters)
        width = 1 / alike - 1 if alike else np.inf
        own = rng.beta(share * width, (1 - share) * width, clusters) if alike else np.full(clusters, share)
        names = np.repeat(np.arange(clusters), sizes)
        right = (rng.random(len(names)) < own[names]).tolist()
        actual, mean = share_interval(right, names.tolist()), mean_interval(np.array(right), names.tolist())
        covered += actual.low <= share <= actual.high
        by_mean += mean.low <= share <= mean.high
    # clusters that are right or wrong as a whole, and hardly ever wrong, are the hardest to judge by
    assert covered / 800 > (0.87 if (share, alike) == (0.95, 0.6) else 0.92)
    assert covered >= by_mean
