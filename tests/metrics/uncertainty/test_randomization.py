"""Exchanging rows at random finds differences between equal models as seldom as it says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from potstill.metrics.uncertainty.randomization import paired_randomization


def f1(sums):
    right, predicted, there = sums
    return 2 * right / (predicted + there) if predicted + there else 0.0


def tagged(rng, rows, found):
    """Counts of spans of two models that find each span with the same probability: right, found, there."""
    there = rng.integers(0, 5, rows)
    return [
        np.stack([right := rng.binomial(there, found), right + rng.binomial(2, 0.2, rows), there], axis=1)
        for _ in range(2)
    ]


def exact(first, second, clusters):
    """The share of all ways to exchange clusters in which the figures are as far apart."""

    def apart(swapped):
        rows = [(b, a) if cluster in swapped else (a, b) for a, b, cluster in zip(first, second, clusters, strict=True)]
        return abs(f1(sum(a for a, _ in rows)) - f1(sum(b for _, b in rows)))

    names = sorted(set(clusters))
    ways = [set(some) for count in range(len(names) + 1) for some in itertools.combinations(names, count)]
    return np.mean([apart(way) >= apart(set()) - 1e-12 for way in ways])


@pytest.mark.parametrize("each", [1, 2])
@pytest.mark.parametrize("seed", range(5))
def test_the_p_is_near_that_of_all_ways_to_exchange_rows_or_clusters(seed, each):
    first, second = tagged(np.random.default_rng(seed), 9 * each, 0.6)
    clusters = [row // each for row in range(9 * each)]
    p = paired_randomization(first, second, f1, clusters if each > 1 else None, draws=4_000)
    # three standard errors of 4,000 draws
    assert p == pytest.approx(exact(first, second, clusters), abs=0.025)


def test_equal_models_are_found_different_as_seldom_as_is_said():
    rng = np.random.default_rng(7)
    p = np.array([paired_randomization(*tagged(rng, 40, 0.7), f1, draws=199) for _ in range(500)])
    # of 500, 38 or more at 5 % come once in a hundred times, and 12 or fewer
    assert 12 < (p <= 0.05).sum() < 38
    assert 0.4 < (p <= 0.5).mean() < 0.6


def test_clusters_are_exchanged_together_and_rows_alone_would_find_too_much():
    rng, found = np.random.default_rng(8), [0, 0]
    clusters = np.repeat(np.arange(20), 5).tolist()
    for _ in range(300):
        there = np.full(100, 2)
        pair = []
        for _ in range(2):
            right = np.repeat(rng.integers(0, 3, 20), 5)
            pair.append(np.stack([right, there, there], axis=1))
        found[0] += paired_randomization(*pair, f1, clusters, draws=199) <= 0.05
        found[1] += paired_randomization(*pair, f1, draws=199) <= 0.05
    assert found[0] < 26  # 5 % of 300, and nine more once in five hundred times
    assert found[1] > 75


def test_a_p_is_never_zero_and_one_of_what_is_equal():
    wins = np.array([[2, 2, 2]] * 50)
    loses = np.array([[0, 2, 2]] * 50)
    assert paired_randomization(wins, loses, f1, draws=999) == 0.001
    assert paired_randomization(wins, wins, f1) == 1.0
    assert paired_randomization(wins, loses, f1) == paired_randomization(loses, wins, f1)
    with pytest.raises(ValueError, match="same rows"):
        paired_randomization(wins, loses[:-1], f1)
