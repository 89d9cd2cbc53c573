"""A student whose loss is as large as allowed passes as seldom as is said."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from draws import pairs
from potstill.metrics.uncertainty.bounded_means import bounded_mean
from potstill.metrics.uncertainty.means import mean_interval
from potstill.metrics.uncertainty.non_inferiority import (
    corrected,
    non_inferior_means,
    non_inferior_seeds,
    non_inferior_shares,
)


def test_a_student_at_the_bound_passes_as_seldom_as_is_said():
    rng = np.random.default_rng(9)
    drawn = pairs(rng, 500, 0.04, 0.06, 1000)  # the loss is exactly what is allowed
    passed = np.mean([non_inferior_shares(int(one), int(two), 500, within=0.02).passed for one, two in drawn])
    assert passed <= 0.03
    good = pairs(rng, 2000, 0.04, 0.04, 200)
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
    for _ in range(300):
        teacher = rng.normal(size=60)
        passed += non_inferior_means(teacher - 0.1 + rng.normal(size=60), teacher, within=0.1).passed
    assert passed / 300 < 0.045


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
    none = np.mean((np.random.default_rng(12).random((2000, count)) >= 0.03).all(axis=1))
    passes = non_inferior_means(np.ones(count), np.ones(count), within=0.03).passed
    assert passes * none < 0.035
    assert non_inferior_shares(0, 0, count, within=0.03).passed == passes


DRAWS: dict[str, Callable[[np.random.Generator, int, float], np.ndarray]] = {
    "rare losses of a whole row": lambda rng, n, loss: -1.0 * (rng.random(n) < loss),
    "rare losses of half a row": lambda rng, n, loss: -0.5 * (rng.random(n) < 2 * loss),
    "gains and more losses": lambda rng, n, loss: (u := rng.random(n)) * 0 + (u < 0.02) - 1.0 * (u > 0.98 - loss),
    "skewed losses": lambda rng, n, loss: -rng.beta(loss, 1 - loss, n),
    "small dense losses": lambda rng, n, loss: rng.uniform(-0.05, 0.05, n) - loss,
    "large dense losses": lambda rng, n, loss: rng.uniform(-0.5, 0.5, n) - loss,
    "dense losses and rare whole ones": lambda rng, n, loss: np.where(
        rng.random(n) < loss / 2, -1.0, rng.uniform(-1, 1, n) * 0.05 - loss / 2 / (1 - loss / 2)
    ),
}
"""Differences of `n` rows whose mean is `-loss`, none further from 0 than 1."""


@pytest.mark.parametrize("count", [10, 60, 100, 140, 400])
@pytest.mark.parametrize("draw", DRAWS.values(), ids=list(DRAWS))
def test_students_at_the_bound_pass_as_seldom_as_is_said_however_they_lose(draw, count):
    rng, samples = np.random.default_rng(13), 250
    passed = sum(bounded_mean(draw(rng, count, 0.03), 1).p_loss(0.03) < 0.025 for _ in range(samples))
    # of 250 samples at 2.5 %, 15 or more come once in a thousand times
    assert passed < 15


def test_students_that_lose_whole_clusters_pass_as_seldom_as_is_said():
    rng, passed = np.random.default_rng(14), 0
    clusters = [number // 4 for number in range(400)]
    for _ in range(300):
        lost = np.repeat(rng.random(100) < 0.03, 4)
        passed += bounded_mean(-1.0 * lost, 1, clusters).p_loss(0.03) < 0.025
    assert passed < 17


def test_students_that_lose_nothing_pass_about_as_often_as_by_students_interval():
    rng, passed = np.random.default_rng(15), [0, 0]
    for _ in range(100):
        differences = rng.uniform(-0.3, 0.3, 500)
        passed[0] += bounded_mean(differences, 1).p_loss(0.02) < 0.025
        passed[1] += mean_interval(differences).low > -0.02
    assert passed[0] > 0.75 * passed[1] > 50


def test_of_right_and_wrong_answers_the_bound_is_that_of_clopper_and_pearson():
    for lost in (0, 1, 7):
        # 40 rows of which `lost` lose: the share of losses whose binomial tail is 2.5 %
        low = bounded_mean([-1.0] * lost + [0.0] * (40 - lost), 1).interval().low
        tail = sum(math.comb(40, k) * (-low) ** k * (1 + low) ** (40 - k) for k in range(lost + 1))
        # differences may also be gains here, so that the range is twice as wide and the bound no closer
        assert 0.01 < tail <= 0.0250001


def test_what_is_unknown_of_scores_without_a_range_is_assumed_as_said():
    rng = np.random.default_rng(16)
    losses = rng.uniform(2, 5, 60)
    close = non_inferior_means(losses - 0.004 + rng.uniform(-0.002, 0.002, 60), losses, within=0.02)
    assert close.passed
    assert not non_inferior_means(losses - 0.004, losses, within=0.02, largest=1).passed
    with pytest.raises(ValueError, match=r"the largest possible one is 0\.001"):
        non_inferior_means(losses - 0.004, losses, within=0.02, largest=0.001)


def test_several_students_pass_together_as_seldom_as_one():
    rng = np.random.default_rng(11)
    wrong = 0
    for _ in range(200):
        verdicts = {
            str(name): non_inferior_shares(int(one), int(two), 400, within=0.03)
            for name, (one, two) in enumerate(pairs(rng, 400, 0.04, 0.07, 10))
        }
        wrong += any(one.passed for one in corrected(verdicts).values())
    assert wrong / 200 < 0.05


def by_seeds(rng, seeds, rows, of_seeds):
    """Right rows of a teacher and of students that lose 3 points on average over all seeds that there could be."""
    teacher = rng.random(rows) < 0.9
    hard = rng.random(rows)
    losses = np.clip(0.03 + of_seeds * rng.normal(0, 0.015, seeds), 0, 0.06)
    # half of what a seed loses it loses on rows that are hard for all seeds
    lost = (hard < losses[:, None] / 2 / 0.9) | (rng.random((seeds, rows)) < losses[:, None] / 2 / 0.9)
    return np.where(lost, 0.0, 1.0) * teacher, teacher.astype(float)


@pytest.mark.parametrize("of_seeds", [0.0, 1.0])
@pytest.mark.parametrize(("seeds", "rows"), [(2, 100), (2, 1500), (3, 600), (5, 1500)])
def test_students_of_several_seeds_at_the_bound_pass_as_seldom_as_is_said(seeds, rows, of_seeds):
    rng = np.random.default_rng(17)
    passed = sum(non_inferior_seeds(*by_seeds(rng, seeds, rows, of_seeds), within=0.0295).passed for _ in range(250))
    # of 250 samples at 2.5 %, 15 or more come once in a thousand times
    assert passed < 15


def test_the_means_of_seeds_alone_pass_more_than_is_said_where_seeds_differ():
    rng, passed = np.random.default_rng(18), [0, 0]
    for _ in range(200):
        students, teacher = by_seeds(rng, 3, 2_000, 1.0)
        passed[0] += non_inferior_seeds(students, teacher, within=0.0295).passed
        passed[1] += non_inferior_means(students.mean(axis=0), teacher, within=0.0295).passed
    assert passed[0] < 12 < 24 < passed[1]


def test_seeds_that_lose_nothing_pass_and_their_bound_and_p_say_the_same():
    rng, passed = np.random.default_rng(19), 0
    for _ in range(60):
        teacher = (rng.random(1_500) < 0.9).astype(float)
        students = np.where(rng.random((3, 1_500)) < 0.02, 1 - teacher, teacher)
        verdict = non_inferior_seeds(students, teacher, within=0.04)
        assert (verdict.p < 0.025) == (verdict.difference.low > -0.04) == verdict.passed
        passed += verdict.passed
    assert passed > 48
    assert not non_inferior_seeds(np.ones((3, 182)), np.ones(182), within=0.02).passed
    assert non_inferior_seeds(np.ones((3, 183)), np.ones(183), within=0.02).passed
    assert non_inferior_seeds(np.zeros((3, 183)), np.ones(183), within=0.02).worse
    with pytest.raises(ValueError, match="same rows"):
        non_inferior_seeds(np.ones((3, 5)), np.ones(4), within=0.02)
