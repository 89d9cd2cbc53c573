"""Scores of rows stand for a ratio of sums: their mean is it, and their error that of drawing rows."""

from __future__ import annotations

import numpy as np
import pytest

from potstill.metrics.uncertainty.bootstrap import bootstrap_interval
from potstill.metrics.uncertainty.means import mean_interval
from potstill.metrics.uncertainty.ratios import ratio_scores


@pytest.mark.parametrize("seed", range(4))
def test_the_mean_is_the_ratio_and_the_error_that_of_the_bootstrap(seed):
    rng = np.random.default_rng(seed)
    below = rng.integers(0, 9, 400)
    above = rng.binomial(below, 0.7)
    scores = mean_interval(ratio_scores(above, below))
    assert scores.value == pytest.approx(above.sum() / below.sum())
    drawn = bootstrap_interval(np.stack([above, below], axis=1), lambda sums: sums[0] / sums[1])
    assert scores.error == pytest.approx(drawn.error, rel=0.1)


def test_without_any_span_the_ratio_is_nothing():
    assert ratio_scores([0, 0], [0, 0]).tolist() == [0, 0]
