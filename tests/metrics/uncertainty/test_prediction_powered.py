"""A judge's labels make the interval smaller and leave the mean where it is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from potstill.metrics.uncertainty.means import mean_interval
from potstill.metrics.uncertainty.prediction_powered import prediction_powered


@pytest.mark.parametrize("trust", [0.95, 0.7, 0.5])
def test_a_judges_help_leaves_the_mean_where_it_is(trust):
    rng = np.random.default_rng(18)
    covered, lambdas, width, alone = 0, [], [], []
    for _ in range(600):
        truth = rng.random(540) < 0.6
        judged = np.where(rng.random(540) < trust, truth, rng.random(540) < 0.9)
        actual = prediction_powered(truth[:40], judged[:40], judged[40:])
        covered += actual.mean.low <= 0.6 <= actual.mean.high
        lambdas.append(actual.trust)
        width.append(actual.mean.error)
        alone.append(mean_interval(truth[:40].astype(float)).error)
    assert covered / 600 > 0.93
    assert np.mean(width) < np.mean(alone)
    assert np.mean(lambdas) < 1


def test_a_judge_of_no_use_is_left_aside():
    human = [1, 0, 1, 1, 0, 1]
    actual = prediction_powered(human, [1] * 6, [1] * 100)
    assert (actual.trust, actual.mean.value, actual.as_good_as) == (
        0.0,
        pytest.approx(2 / 3),
        pytest.approx(8, abs=0.3),
    )
    wider = stats.sem([*human, 1, 0])
    assert actual.mean.error == pytest.approx(wider)
    assert prediction_powered([2, 3, 4], [1, 1, 1], [1, 1]).mean.error == pytest.approx(stats.sem([2, 3, 4]))
    with pytest.raises(ValueError, match="at least two"):
        prediction_powered([1], [1], [1])
