"""A student whose loss is as large as allowed passes as seldom as is said."""

from __future__ import annotations

import numpy as np
import pytest

from draws import pairs
from potstill.metrics.uncertainty.non_inferiority import corrected, non_inferior_means, non_inferior_shares


def test_a_student_at_the_bound_passes_as_seldom_as_is_said():
    rng = np.random.default_rng(9)
    drawn = pairs(rng, 500, 0.04, 0.06, 4000)  # the loss is exactly what is allowed
    passed = np.mean([non_inferior_shares(int(one), int(two), 500, within=0.02).passed for one, two in drawn])
    assert passed <= 0.03
    good = pairs(rng, 2000, 0.04, 0.04, 500)
    assert np.mean([non_inferior_shares(int(one), int(two), 2000, within=0.02).passed for one, two in good]) > 0.8


def test_the_bound_and_the_p_say_the_same():
    for one in range(0, 40, 3):
        actual = non_inferior_shares(one, 20, 300, within=0.03)
        assert (actual.p < 0.025) == (actual.difference.low > -0.03) == actual.passed
        means = non_inferior_means([1.0] * one + [0.0] * (300 - one), [0.0] * 280 + [1.0] * 20, within=0.03)
        assert (means.p < 0.025) == (means.difference.low > -0.03) == means.passed
    assert non_inferior_shares(0, 60, 300, within=0.02).worse
    with pytest.raises(ValueError, match="no loss"):
        non_inferior_shares(1, 1, 30, within=-0.1)


def test_means_of_students_at_the_bound_pass_as_seldom_as_is_said():
    rng = np.random.default_rng(10)
    passed = 0
    for _ in range(800):
        teacher = rng.normal(size=60)
        passed += non_inferior_means(teacher - 0.1 + rng.normal(size=60), teacher, within=0.1).passed
    assert passed / 800 < 0.045


def test_rows_that_all_differ_alike_prove_no_more_than_their_number():
    assert not non_inferior_means([0.5, 0.5], [0.5, 0.5], within=0.02).passed
    assert not non_inferior_means([0.5], [0.5], within=0.02).passed
    few, enough = (non_inferior_means([0.5] * count, [0.5] * count, within=0.02) for count in (182, 183))
    assert (few.passed, enough.passed) == (False, True)
    assert few.p == pytest.approx(0.98**182)
    # the rule of three: of n rows without an event, the share is at most 3 / n (3.7 / n at 97.5 %)
    assert enough.difference.low == pytest.approx(-3.7 / 183, rel=0.02)
    # of scores up to 100, a row may lose more
    assert not non_inferior_means([90.0] * 183, [90.0] * 183, within=0.02).passed
    # clusters are what is independent
    sources = [number // 2 for number in range(200)]
    assert not non_inferior_means([0.5] * 200, [0.5] * 200, within=0.02, clusters=sources).passed


def test_two_rows_that_lose_alike_are_no_proof_of_a_loss():
    assert not non_inferior_means([0.4, 0.4], [0.5, 0.5], within=0.02).worse
    assert non_inferior_means([0.4] * 400, [0.5] * 400, within=0.02).worse


@pytest.mark.parametrize("count", [60, 100, 122, 200])
def test_samples_without_a_loss_pass_as_seldom_as_is_said_where_losses_are_at_the_bound(count):
    rng, passed = np.random.default_rng(12), 0
    for _ in range(2000):
        lost = rng.random(count) < 0.03
        passed += not lost.any() and non_inferior_means(np.ones(count), np.ones(count), within=0.03).passed
    assert passed / 2000 < 0.035


def test_several_students_pass_together_as_seldom_as_one():
    rng = np.random.default_rng(11)
    wrong = 0
    for _ in range(800):
        verdicts = {
            str(name): non_inferior_shares(int(one), int(two), 400, within=0.03)
            for name, (one, two) in enumerate(pairs(rng, 400, 0.04, 0.07, 10))
        }
        wrong += any(one.passed for one in corrected(verdicts).values())
    assert wrong / 800 < 0.04
