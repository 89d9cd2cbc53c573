"""Probabilities of labels against closed forms."""

import math

import pytest

from potstill.labelling.calibration import average, calibrated, probabilities, text_score


def test_probabilities_are_the_texts_own_ones_made_to_add_up() -> None:
    scores = [math.log(0.3), math.log(0.1)]
    assert probabilities(scores) == pytest.approx([0.75, 0.25])
    assert probabilities([-1e4, -1e4 - math.log(3)]) == pytest.approx([0.75, 0.25])


def test_the_mean_score_keeps_a_long_label_in_the_race() -> None:
    short, long = [-1.5], [-1.0, -1.0, -1.0]
    assert text_score(short, "sum") > text_score(long, "sum")
    assert text_score(short, "mean") < text_score(long, "mean")


def test_calibration_takes_out_the_preference_for_a_label() -> None:
    bias = [[0.7, 0.3], [0.5, 0.5]]  # the mean is (0.6, 0.4)
    assert calibrated([0.6, 0.4], bias) == pytest.approx([0.5, 0.5])
    # 0.55 / 0.6 against 0.45 / 0.4: the other label wins
    assert calibrated([0.55, 0.45], bias) == pytest.approx(
        [0.55 / 0.6 / (0.55 / 0.6 + 0.45 / 0.4), 0.55102041], rel=1e-6
    )
    assert calibrated([0.9, 0.1], [[0.5, 0.5]]) == pytest.approx([0.9, 0.1])
    assert all(map(math.isfinite, calibrated([1.0, 0.0], [[1.0, 0.0]])))


def test_the_average_of_members() -> None:
    assert average([[1.0, 0.0], [0.5, 0.5]]) == [0.75, 0.25]
