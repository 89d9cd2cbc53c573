"""Bootstrap intervals hold the truth as often as they say, and equal SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from draws import ratio
from potstill.metrics.uncertainty.bootstrap import bootstrap_interval, paired_bootstrap
from potstill.metrics.uncertainty.means import mean_interval


def test_the_bootstrap_of_a_ratio_holds_it():
    rng = np.random.default_rng(5)
    covered = 0
    for number in range(250):
        there = rng.integers(1, 9, 80)
        counts = np.stack([rng.binomial(there, 0.6), there], axis=1)
        actual = bootstrap_interval(counts, ratio, draws=300, seed=number)
        covered += actual.low <= 0.6 <= actual.high
    assert 0.90 < covered / 250 <= 0.98


def test_the_bootstrap_of_a_mean_has_scipys_standard_error():
    scores = np.random.default_rng(6).random(100)
    counts = np.stack([scores, np.ones(100)], axis=1)
    ours = bootstrap_interval(counts, ratio, draws=4000)
    theirs = stats.bootstrap((scores,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(0))
    assert ours.error == pytest.approx(theirs.standard_error, rel=0.05)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.01)
    assert ours == bootstrap_interval(counts, ratio, draws=4000)  # a seed is all there is to it


def test_the_paired_bootstrap_finds_no_more_differences_than_it_says():
    rng = np.random.default_rng(7)
    wrong = covered = 0
    for number in range(250):
        easy = rng.random(100)
        first, second = (np.stack([rng.random(100) < easy, np.ones(100)], axis=1) for _ in range(2))
        actual = paired_bootstrap(first, second, ratio, draws=200, seed=number)
        wrong += actual.p < 0.05
        covered += actual.difference.low <= 0 <= actual.difference.high
    assert wrong / 250 < 0.09
    assert covered / 250 > 0.91


def test_models_that_agree_everywhere_do_not_differ():
    counts = np.ones((20, 2))
    actual = paired_bootstrap(counts, counts, ratio)
    assert (actual.p, actual.constant, actual.difference.value) == (1.0, True, 0.0)
    apart = paired_bootstrap(counts, counts * [0, 1], ratio)
    assert apart.constant
    assert (apart.difference.low, apart.difference.high) == (1.0, 1.0)
    with pytest.raises(ValueError, match="same rows"):
        paired_bootstrap(counts, counts[:5], ratio)
    with pytest.raises(ValueError, match="at least one row"):
        bootstrap_interval([], ratio)


def test_the_bootstrap_draws_whole_clusters():
    rng = np.random.default_rng(8)
    clusters = np.repeat(np.arange(15), 20).tolist()
    scores = np.clip(rng.normal(0.5, 0.2, 15), 0, 1).repeat(20)
    counts = np.stack([scores, np.ones(300)], axis=1)
    expected = mean_interval(scores, clusters).error
    assert bootstrap_interval(counts, ratio, clusters).error == pytest.approx(expected, rel=0.1)
    assert bootstrap_interval(counts, ratio).error < expected / 2
