"""The difference of two models' shares on the same rows, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

from potstill.metrics.uncertainty.interval import LEVEL, Interval, z_of


def bonett_price(first_only: int, second_only: int, n: int, level: float = LEVEL) -> Interval:
    """Return the share that the first model gets right minus that of the second, on the same n rows.

    `first_only` rows only the first gets right, `second_only` only the second. To each of the two counts 1 is added
    before the usual interval of a paired difference is taken, which holds the truth as often as it says from few rows
    on, and has a width where both models agree everywhere. `value` is the plain difference, `error` the interval's own.

    D. G. Bonett and R. M. Price, "Adjusted Wald confidence interval for a difference of binomial proportions based on
    paired data", Journal of Educational and Behavioral Statistics 37 (2012).

    Raises:
        ValueError: the counts are no counts of n rows.

    >>> found = bonett_price(2, 8, 100)
    >>> round(found.value, 3), round(found.low, 4), round(found.high, 4)
    (-0.06, -0.1244, 0.0068)
    """
    if min(first_only, second_only) < 0 or n <= 0 or first_only + second_only > n:
        raise ValueError(f"{first_only} and {second_only} of {n} rows can't be those that one model alone gets right")
    middle, error = _adjusted(first_only, second_only, n)
    half = z_of(level) * error
    return Interval((first_only - second_only) / n, max(-1.0, middle - half), min(1.0, middle + half), error)


def _adjusted(first_only: int, second_only: int, n: int) -> tuple[float, float]:
    """Return the middle of the interval and its standard error."""
    # one row more of either kind of disagreement, hence two rows more in all
    first, second = (first_only + 1) / (n + 2), (second_only + 1) / (n + 2)
    return first - second, math.sqrt((first + second - (first - second) ** 2) / (n + 2))


def discordant(first: Sequence[bool], second: Sequence[bool]) -> tuple[int, int]:
    """Return how many rows only the first and only the second model gets right.

    >>> discordant([True, True, False], [True, False, False])
    (1, 0)
    """
    pairs = list(zip(first, second, strict=True))
    return sum(one and not other for one, other in pairs), sum(other and not one for one, other in pairs)
