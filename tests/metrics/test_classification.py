"""Scores by class: against hand-counted cases, and scikit-learn's where it is installed."""

import numpy as np
import pytest

from potstill.metrics.classification import class_scores, macro_f1


def test_scores_are_counted_by_class():
    scores = class_scores(["a", "a", "a", "b", "c"], ["a", "a", "b", "b", "d"])
    actual = {score.label: (score.n, score.precision, score.recall, score.f1) for score in scores}
    assert actual == {
        "a": (3, 1.0, pytest.approx(2 / 3), pytest.approx(0.8)),
        "b": (1, 0.5, 1.0, pytest.approx(2 / 3)),
        "c": (1, 0.0, 0.0, 0.0),
    }
    assert macro_f1(scores) == pytest.approx((0.8 + 2 / 3) / 3)


def test_they_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(0)
    expected, predicted = (draw.choice(list("abcde"), 200).tolist() for _ in range(2))
    assert macro_f1(class_scores(expected, predicted)) == pytest.approx(
        metrics.f1_score(expected, predicted, average="macro")
    )
