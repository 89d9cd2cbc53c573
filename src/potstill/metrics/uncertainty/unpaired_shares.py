"""The difference of two models' shares where it is not known which rows each got right."""

from __future__ import annotations

import math

from potstill.metrics.uncertainty.interval import LEVEL, Interval, z_of


def agresti_caffo(first: int, first_n: int, second: int, second_n: int, level: float = LEVEL) -> Interval:
    """Return the first share of successes minus the second, of independent rows.

    Of two models on the same rows it is too wide rather than too narrow, because most rows are easy or hard for both.
    One success and one failure are added to either share; `value` is the plain difference, `error` the interval's own.

    A. Agresti and B. Caffo, "Simple and effective confidence intervals for proportions and differences of proportions
    result from adding two successes and two failures", The American Statistician 54 (2000).

    Raises:
        ValueError: the counts are no counts of so many rows.

    >>> found = agresti_caffo(7, 10, 3, 10)
    >>> round(found.low, 4), round(found.high, 4)
    (-0.0439, 0.7105)
    """
    if not (0 <= first <= first_n and 0 <= second <= second_n and min(first_n, second_n) > 0):
        raise ValueError(f"{first} of {first_n} and {second} of {second_n} rows are no shares")
    # one success and one failure more of each, hence two rows more of each
    one, other = (first + 1) / (first_n + 2), (second + 1) / (second_n + 2)
    error = math.sqrt(one * (1 - one) / (first_n + 2) + other * (1 - other) / (second_n + 2))
    middle, half = one - other, z_of(level) * error
    # the shrunk middle may leave the plain difference outside of a short interval: it is widened to hold it
    value = first / first_n - second / second_n
    return Interval(value, max(-1.0, min(value, middle - half)), min(1.0, max(value, middle + half)), error)
