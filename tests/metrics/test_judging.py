"""Grades and preferences of a judge: means, order, length, gold, and what people would say."""

import numpy as np
import pytest

from potstill.metrics import Pair, grade_figures, pair_figures


def test_a_tie_counts_half_and_contradictions_are_counted():
    pairs = [
        Pair("first", True, (5, 3)),
        Pair("tie", False, (4, 4)),
        Pair("second", True, (9, 1)),
        Pair("first", True, (2, 8)),
    ]
    figures = pair_figures(pairs)
    assert (figures["win_rate"], figures["wins"], figures["ties"], figures["losses"]) == (0.625, 0.5, 0.25, 0.25)
    assert figures["contradicted"] == 0.25
    # the longer one won once in three pairs of different length
    assert figures["longer_wins"] == pytest.approx(1 / 3)
    assert figures["longer_by"] == pytest.approx(1.0)
    assert 0 <= figures["win_rate_low"] < figures["win_rate"] < figures["win_rate_high"] <= 1


def test_where_just_one_is_right_it_is_seen_whether_the_judge_prefers_it():
    right = [(True, False), (False, True), (True, True), (True, False)]
    betters = ["first", "second", "tie", "second"]
    pairs = [Pair(better, True, (1, 1), one) for better, one in zip(betters, right, strict=True)]
    figures = pair_figures(pairs)
    assert figures["gold_pairs"] == 3
    assert figures["gold_agreement"] == pytest.approx(2 / 3)


def test_a_few_labels_of_people_move_a_biased_judge_to_what_they_say():
    rng = np.random.default_rng(0)
    truth = rng.uniform(1, 4, 400)
    judge = truth + 1 + rng.normal(0, 0.2, 400)  # a point too friendly
    human = [truth[n] if n < 40 else None for n in range(400)]
    figures = grade_figures(judge.tolist(), human=human)
    assert figures["grade"] == pytest.approx(truth.mean() + 1, abs=0.05)
    assert figures["human_estimate_low"] < truth.mean() < figures["human_estimate_high"]
    width = figures["human_estimate_high"] - figures["human_estimate_low"]
    alone = 2 * 2.02 * np.std(truth[:40], ddof=1) / np.sqrt(40)
    assert width < alone / 2
    assert figures["human_labels_as_good_as"] > 40
    assert figures["human_correlation"] > 0.9


def test_a_judge_that_can_tell_right_from_wrong_gives_right_answers_the_higher_grade():
    assert grade_figures([5, 4, 2, 1], right=[True, True, False, False])["gold_auc"] == 1.0
    assert grade_figures([3, 3, 3, 3], right=[True, True, False, False])["gold_auc"] == 0.5
    assert grade_figures([3, 4], right=[True, None])["gold_auc"] is None


def test_constant_grades_have_no_interval_and_one_label_of_people_estimates_nothing():
    figures = grade_figures([4.0, 4.0, 4.0], human=[3.0, None, None], lengths=[1, 2, 3])
    assert (figures["grade"], figures["grade_low"], figures["grade_high"]) == (4.0, None, None)
    assert figures["length_correlation"] is None
    assert figures["human_labels"] == 1
    assert "human_estimate" not in figures
