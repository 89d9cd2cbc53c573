"""Tests of differences: the values that SciPy gives, and what several tests together may claim."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from potstill.metrics.significance import holm, mcnemar, paired_means, two_shares


@pytest.mark.parametrize("pair", [(1, 9), (9, 1), (0, 5), (3, 3), (0, 0), (30, 60), (2400, 2500)])
def test_mcnemar_is_the_mid_p_of_a_fair_coin(pair):
    trials, fewer = sum(pair), min(pair)
    coin = stats.binom(trials, 0.5)
    expected = 1.0 if pair[0] == pair[1] else 2 * coin.cdf(fewer) - coin.pmf(fewer)
    assert mcnemar(*pair) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_of_many_rows_is_nearly_the_same_by_the_normal_distribution():
    coin = stats.binom(5400, 0.5)
    assert mcnemar(2600, 2800) == pytest.approx(2 * coin.cdf(2600) - coin.pmf(2600), rel=1e-3)
    assert mcnemar(0, 100_000) == 0.0


@pytest.mark.parametrize("count", [2, 3, 30, 6000])
def test_paired_means_is_students_test(count):
    draw = np.random.default_rng(count)
    first, second = draw.normal(0.1, 1, count), draw.normal(0, 1, count)
    expected = stats.ttest_rel(first, second).pvalue
    assert paired_means(first.tolist(), second.tolist()) == pytest.approx(expected, rel=3e-2, abs=1e-12)


def test_pairs_that_do_not_vary_are_equal_or_are_not():
    assert paired_means([1.0, 2.0], [1.0, 2.0]) == 1.0
    assert paired_means([1.0, 2.0, 3.0], [0.0, 1.0, 2.0]) == 0.0
    assert paired_means([1.0], [0.0]) == 1.0


def test_two_shares_is_the_pooled_z_test():
    # 476 and 454 of 500: intervals that overlap, and a difference that is more than chance
    assert two_shares(0.952, 500, 0.908, 500) == pytest.approx(0.0064, abs=2e-4)
    assert two_shares(1.0, 10, 1.0, 10) == two_shares(0.0, 10, 0.0, 10) == 1.0


def test_equal_models_are_called_different_as_seldom_as_is_said():
    draw = np.random.default_rng(0)
    wrong = 0
    for _ in range(400):
        # five models, equally good on rows that are easy or hard for all
        easy = draw.uniform(0.3, 1.0, 200)
        right = draw.random((5, 200)) < easy
        pairs = [(int((right[0] & ~one).sum()), int((one & ~right[0]).sum())) for one in right[1:]]
        wrong += min(holm([mcnemar(*pair) for pair in pairs])) < 0.05
    assert wrong / 400 < 0.07


def test_holm_raises_the_smallest_most_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
