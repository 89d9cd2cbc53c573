"""Calibration figures are sklearn's, and a calibrated model is called one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from potstill.metrics.uncertainty.calibration import brier, brier_of_classes, calibration_error, reliability


def test_brier_is_sklearns():
    rng = np.random.default_rng(14)
    said, came = rng.random(200), rng.random(200) < 0.5
    assert brier(said, came) == pytest.approx(brier_score_loss(came, said))
    table = rng.dirichlet(np.ones(4), 50)
    classes = rng.integers(0, 4, 50).tolist()
    expected = brier_score_loss(classes, table, labels=[0, 1, 2, 3], scale_by_half=False)
    assert brier_of_classes(table, classes) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "expected"), [(100, 0.075), (500, 0.034), (5000, 0.011)])
def test_a_calibrated_model_shows_an_error_that_is_named(n, expected):
    said = np.random.default_rng(15).uniform(0.5, 1, n)
    actual = calibration_error(said, np.random.default_rng(16).random(n) < said, draws=200)
    assert actual.calibrated == pytest.approx(expected, rel=0.35)
    assert actual.p > 0.01


def test_calibrated_models_are_called_so_and_overconfident_ones_are_not():
    rng = np.random.default_rng(17)
    low = high = 0
    for number in range(200):
        said = rng.uniform(0.5, 1, 200)
        low += calibration_error(said, rng.random(200) < said, draws=100, seed=number).p < 0.05
        high += calibration_error(said, rng.random(200) < said - 0.2, draws=100, seed=number).p < 0.05
    assert low / 200 < 0.09
    assert high / 200 > 0.9


def test_the_calibration_error_is_the_mean_gap_of_the_bins():
    said, came = [0.1, 0.1, 0.9, 0.9, 0.9], [0, 1, 1, 1, 0]
    bins = reliability(said, came, bins=10)
    assert [one.n for one in bins] == [2, 3]
    expected = sum(one.n * abs(one.confidence - one.right.value) for one in bins) / 5
    assert calibration_error(said, came, bins=10).value == pytest.approx(expected)
    assert calibration_error([1.0, 0.0], [1, 0]).value == 0


@pytest.mark.parametrize("said", [[0.5], [1.2, 0.1], [math.nan, 0.2], []])
def test_what_is_no_confidence_is_refused(said):
    with pytest.raises(ValueError, match="confidence"):
        brier(said, [1, 0] if said else [])
