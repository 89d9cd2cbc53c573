"""An estimate with its interval, and the quantiles that intervals are made with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

from potstill.metrics.significance import student_p

LEVEL = 0.95
"""How often an interval holds the truth, where nothing else is said."""


@dataclass(frozen=True)
class Interval:
    """An estimate, and where the truth may be."""

    value: float
    """The estimate."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""
    error: float = math.nan
    """Standard error; NaN where the interval is made without one."""


def z_of(level: float) -> float:
    """Return how many standard errors on either side of the middle hold the share `level` of a normal distribution.

    Raises:
        ValueError: `level` is not between 0 and 1.

    >>> round(z_of(0.95), 6)
    1.959964
    """
    if not 0 < level < 1:
        raise ValueError(
            f"no interval holds the truth with probability {level}: give one between 0 and 1, such as 0.95"
        )
    return NormalDist().inv_cdf((1 + level) / 2)


@lru_cache(maxsize=1024)
def t_of(level: float, freedom: float) -> float:
    """Return what `z_of` does, of Student's distribution with `freedom` degrees; infinite below one.

    Found by halving, from the tail that `student_p` integrates; between whole degrees of freedom, the lower one counts.

    >>> round(t_of(0.95, 9), 4)
    2.2622
    """
    if freedom < 1:
        return math.inf
    normal = z_of(level)
    # as in `student_p`, which is the normal tail from there on
    if freedom > 5_000:
        return normal
    # Student's quantile is never below the normal one
    low, high = normal, normal * 2
    while student_p(high, int(freedom)) > 1 - level:
        low, high = high, high * 2
    # 40 halvings leave 1e-12 of the bracket
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if student_p(middle, int(freedom)) > 1 - level else (low, middle)
    return high


def around(value: float, error: float, half: float) -> Interval:
    """Return the interval of `half` its width on either side; without an end where no error is known."""
    return Interval(value, value - half, value + half, error)
