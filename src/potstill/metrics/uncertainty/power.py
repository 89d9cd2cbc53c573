"""What difference a test set could have shown, and how many rows show one: what "no difference found" is worth."""

from __future__ import annotations

import math
from statistics import NormalDist

POWER = 0.8
"""How often a difference is to be found, where nothing else is said."""
ALPHA = 0.05
"""How often one is found where there is none."""


def detectable(error: float, power: float = POWER, alpha: float = ALPHA) -> float:
    """Return the smallest difference that is found with probability `power`, given the standard error of differences.

    E. Miller, "Adding error bars to evals" (2024, arXiv 2411.00640), section 5 (power analysis): (z of
    1 - alpha / 2 + z of power) * error.

    >>> round(detectable(0.01), 4)
    0.028
    """
    return (_z(1 - alpha / 2) + _z(power)) * error


def detectable_shares(discordant: int, n: int, power: float = POWER, alpha: float = ALPHA) -> float:
    """Return the smallest difference of two shares that n paired rows show with probability `power`.

    `discordant` rows are right by one model alone; 1 more of either kind is counted, because a test set on which two
    models agree says not that they always will. The difference d solves n d^2 = (z_a sqrt(p) + z_b sqrt(p - d^2))^2,
    with p the share of discordant rows: R. J. Connor, "Sample size for testing differences in proportions for the
    paired-sample design", Biometrics 43 (1987). It can't be above p, nor need more than 1.

    Raises:
        ValueError: the counts are none.

    >>> round(detectable_shares(100, 1000), 4)
    0.0282
    """
    if not 0 <= discordant <= n or n <= 0:
        raise ValueError(f"{discordant} of {n} rows can't be those that one model alone gets right")
    share = (discordant + 2) / (n + 2)
    low, high = 0.0, min(1.0, share)
    if _rows(high, share, power, alpha) > n:  # even if one model wins all of them
        return min(1.0, (_z(1 - alpha / 2) + _z(power)) * math.sqrt(share / n))
    # solved by halving: the larger the difference, the fewer rows show it
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _rows(middle, share, power, alpha) > n else (low, middle)
    return high


def rows_needed(difference: float, discordant: float, power: float = POWER, alpha: float = ALPHA) -> int:
    """Return how many paired rows show a difference of two shares, given the share of rows that are `discordant`.

    Connor 1987, as in `detectable_shares`.

    Raises:
        ValueError: the difference is none, or larger than the share of rows that make it.

    >>> rows_needed(0.03, 0.1)
    870
    """
    if not 0 < difference <= discordant <= 1:
        raise ValueError(f"a difference of {difference} can't come from a share of {discordant} of the rows")
    return math.ceil(_rows(difference, discordant, power, alpha))


def _rows(difference: float, discordant: float, power: float, alpha: float) -> float:
    rest = math.sqrt(max(0.0, discordant - difference**2))
    return ((_z(1 - alpha / 2) * math.sqrt(discordant) + _z(power) * rest) / max(difference, 1e-300)) ** 2


def _z(share: float) -> float:
    return NormalDist().inv_cdf(share)
