"""Intervals of shares and of their paired differences hold the truth as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from draws import pairs
from potstill.metrics.answers import wilson
from potstill.metrics.significance import mcnemar, mcnemar_exact
from potstill.metrics.uncertainty.paired_shares import bonett_price, discordant


@pytest.mark.parametrize("n", [20, 100, 500])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.92])
def test_wilsons_interval_holds_the_share(n, share):
    successes = np.arange(n + 1)
    held = [wilson(int(k), n).low <= share <= wilson(int(k), n).high for k in successes]
    coverage = float(stats.binom.pmf(successes, n, share)[held].sum())
    assert coverage > 0.90  # exact, not simulated: it swings around 0.95 with n and the share
    assert stats.binomtest(7, 40).proportion_ci(method="wilson").low == pytest.approx(wilson(7, 40).low)


@pytest.mark.parametrize(("first", "second"), [(0.06, 0.022), (0.02, 0.02), (0.2, 0.1), (0.01, 0.0)])
@pytest.mark.parametrize("n", [50, 100, 1000])
def test_bonett_and_prices_interval_holds_the_difference(first, second, n):
    rng = np.random.default_rng(n)
    actual = [bonett_price(int(one), int(two), n) for one, two in pairs(rng, n, first, second, 2000)]
    covered = np.mean([one.low <= first - second <= one.high for one in actual])
    assert 0.94 < covered <= 1.0


def test_bonett_and_prices_interval_equals_its_formula_and_mirrors():
    actual = bonett_price(8, 2, 100)
    p, q = 9 / 102, 3 / 102
    half = 1.959963984540054 * math.sqrt((p + q - (p - q) ** 2) / 102)
    assert (actual.low, actual.high) == pytest.approx((p - q - half, p - q + half))
    mirrored = bonett_price(2, 8, 100)
    assert (mirrored.low, mirrored.high) == pytest.approx((-actual.high, -actual.low))
    agreed = bonett_price(0, 0, 30)
    assert agreed.value == 0
    assert agreed.low < 0 < agreed.high
    with pytest.raises(ValueError, match="alone"):
        bonett_price(20, 20, 30)
    assert discordant([True, True, False], [True, False, True]) == (1, 1)


@pytest.mark.parametrize("pair", [(1, 9), (9, 1), (0, 5), (3, 3), (0, 0), (30, 60)])
def test_exact_mcnemar_is_the_binomial_test(pair):
    expected = stats.binomtest(pair[0], sum(pair)).pvalue if sum(pair) else 1.0
    assert mcnemar_exact(*pair) == pytest.approx(expected, rel=1e-9)
    assert mcnemar(*pair) <= mcnemar_exact(*pair)


def test_exact_mcnemar_of_many_rows_is_nearly_the_same_by_the_normal_distribution():
    assert mcnemar_exact(2600, 2800) == pytest.approx(stats.binomtest(2600, 5400).pvalue, rel=1e-2)


@pytest.mark.parametrize(("test", "most"), [(mcnemar_exact, 0.05), (mcnemar, 0.056)])
def test_mcnemar_calls_equal_models_different_as_seldom_as_is_said(test, most):
    rng = np.random.default_rng(0)
    wrong = np.mean([test(int(one), int(two)) < 0.05 for one, two in pairs(rng, 200, 0.1, 0.1, 4000)])
    assert wrong <= most
