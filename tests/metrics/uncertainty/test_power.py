"""The smallest difference that a test set shows is found as often as is said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from draws import pairs
from potstill.metrics.significance import mcnemar
from potstill.metrics.uncertainty.means import mean_interval
from potstill.metrics.uncertainty.power import detectable, detectable_shares, rows_needed


@pytest.mark.parametrize(("share", "n"), [(0.1, 1000), (0.3, 300)])
def test_the_smallest_difference_is_found_as_often_as_is_said(share, n):
    difference = detectable_shares(round(share * n), n)
    drawn = pairs(np.random.default_rng(12), n, (share + difference) / 2, (share - difference) / 2, 3000)
    actual = np.mean([mcnemar(int(one), int(two)) < 0.05 for one, two in drawn])
    assert actual == pytest.approx(0.8, abs=0.04)


def test_rows_and_difference_are_the_same_question():
    difference = detectable_shares(98, 998)
    assert rows_needed(difference, 0.1) in (998, 999)
    assert detectable(0.01) == pytest.approx((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * 0.01)
    # Miller 2024, section 5: about a thousand questions for three points
    assert 800 < rows_needed(0.03, 0.1) < 1000


def test_a_test_set_on_which_models_agree_shows_something_all_the_same():
    assert 0 < detectable_shares(0, 100) < 0.1
    assert detectable_shares(1, 1) <= 1
    with pytest.raises(ValueError, match="alone"):
        detectable_shares(3, 2)
    with pytest.raises(ValueError, match="can't come from"):
        rows_needed(0.3, 0.1)


def test_the_smallest_difference_of_means_is_found_as_often_as_is_said():
    rng = np.random.default_rng(13)
    difference, actual = detectable(1 / math.sqrt(100)), 0
    for _ in range(1000):
        interval = mean_interval(rng.normal(difference, 1, 100))
        actual += interval.low > 0
    assert actual / 1000 == pytest.approx(0.8, abs=0.04)
