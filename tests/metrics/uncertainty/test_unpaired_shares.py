"""The difference of two shares without pairs: it holds the truth as often as it says, and is never too sure."""

import pytest

from potstill.metrics.uncertainty.unpaired_shares import agresti_caffo


@pytest.mark.parametrize(("first", "second"), [(0.5, 0.5), (0.95, 0.9), (0.99, 0.99)])
def test_the_interval_holds_the_truth_as_often_as_it_says(first, second):
    import numpy as np

    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(2_000):
        actual = agresti_caffo(int(rng.binomial(100, first)), 100, int(rng.binomial(80, second)), 80)
        covered += actual.low <= first - second <= actual.high
    assert covered / 2_000 >= 0.935


def test_it_has_a_width_at_the_ends_and_refuses_what_are_no_counts():
    actual = agresti_caffo(10, 10, 10, 10)
    assert actual.value == 0 and actual.low < 0 < actual.high
    with pytest.raises(ValueError, match="11 of 10"):
        agresti_caffo(11, 10, 1, 10)
