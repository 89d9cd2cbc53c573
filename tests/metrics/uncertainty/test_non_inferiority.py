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


def test_differences_without_spread_are_said_as_they_are():
    assert non_inferior_means([0.5, 0.5], [0.5, 0.5], within=0.02).passed
    assert not non_inferior_means([0.4, 0.4], [0.5, 0.5], within=0.02).passed
    assert not non_inferior_means([0.5], [0.5], within=0.02).passed


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
