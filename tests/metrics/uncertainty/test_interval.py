"""The quantiles of intervals are SciPy's."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from potstill.metrics.uncertainty.interval import t_of, z_of


@pytest.mark.parametrize("freedom", [1, 2, 3, 9, 29, 400])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_quantiles_are_those_of_scipy(level, freedom):
    assert t_of(level, freedom) == pytest.approx(stats.t.ppf((1 + level) / 2, freedom), rel=1e-4)
    assert z_of(level) == pytest.approx(stats.norm.ppf((1 + level) / 2), abs=1e-12)


def test_no_degrees_of_freedom_give_no_ends():
    assert t_of(0.95, 0) == math.inf
    with pytest.raises(ValueError, match="between 0 and 1"):
        z_of(95)
