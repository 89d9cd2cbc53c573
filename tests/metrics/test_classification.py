"""Scores by class: against hand-counted cases, and scikit-learn's where it is installed."""

import numpy as np
import pytest

from potstill.metrics.classification import class_scores, macro_f1, matthews


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


@pytest.mark.parametrize(
    "labels", ["a", "ab", "abc", ["\u043a\u043e\u0442", "\u732b", "", " "]], ids=["one", "two", "three", "unicode"]
)
@pytest.mark.parametrize("rows", [1, 2, 7, 300])
def test_matthews_is_that_of_scikit_learn_and_none_where_a_side_is_constant(labels, rows):
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(rows)
    for _ in range(20):
        # each side from some of the labels, so that constant ones and ones that share no label come up
        expected, predicted = (
            draw.choice(draw.choice(list(labels), draw.integers(1, len(labels) + 1), replace=False), rows).tolist()
            for _ in range(2)
        )
        figure = matthews(expected, predicted)
        if len(set(expected)) == 1 or len(set(predicted)) == 1:
            assert figure is None
        else:
            assert figure == pytest.approx(metrics.matthews_corrcoef(expected, predicted), abs=1e-12)
