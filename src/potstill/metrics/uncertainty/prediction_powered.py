"""A mean of human labels, sharpened by a judge's labels of many more rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potstill.metrics.uncertainty.interval import LEVEL, Interval, t_of


@dataclass(frozen=True)
class PredictionPowered:
    """What people would say of all rows on average."""

    mean: Interval
    """The estimate, with its interval."""
    trust: float
    """Lambda: 0 where the judge is of no use and people alone are asked, 1 where it is taken at its word."""
    as_good_as: float
    """Human labels that would be as good without the judge."""


def prediction_powered(
    human: ArrayLike, judged: ArrayLike, judged_only: ArrayLike, level: float = LEVEL
) -> PredictionPowered:
    """Return the mean of n human labels, corrected by what a judge says of these rows and of N others.

    With f the judge's labels, mean = l * mean_N(f) + mean_n(human - l * f), and its variance is
    l^2 * var(f) / N + var(human - l * f) / n. The l that makes it smallest is cov(human, f) / ((1 + n / N) * var(f)),
    here kept from 0 to 1; a judge that always says the same has 0. It is right whatever the judge is worth, as long as
    the rows that people label are drawn at random from all.

    A. N. Angelopoulos, J. C. Duchi and T. Zrnic, "PPI++: efficient prediction-powered inference" (2023, arXiv
    2311.01453), section 6; with Student's distribution of n - 1 degrees instead of the normal one. Of labels 0 and 1,
    the interval counts one row more of either disagreement, as that of Bonett and Price 2012 does, which this is at
    l = 1: without, it holds the truth too seldom where the judge errs in few of few rows.

    Raises:
        ValueError: there are fewer than two human labels, none of the judge alone, or not a judge's label for each.

    >>> found = prediction_powered([1, 0, 1, 1], [1, 0, 1, 0], [1] * 70 + [0] * 30)
    >>> round(found.mean.value, 3), round(found.trust, 3)
    (0.899, 0.745)
    """
    labels, paired, others = (np.asarray(one, dtype=float) for one in (human, judged, judged_only))
    n, more = len(labels), len(others)
    if n < 2 or n != len(paired) or not more:
        raise ValueError(
            f"got {n} human labels, {len(paired)} of the judge on the same rows and {more} on others: give at least "
            "two, as many, and at least one"
        )
    # var(f) over all rows that the judge labelled: they are drawn from one population
    spread = float(np.concatenate([paired, others]).var(ddof=1))
    shared = float(np.cov(labels, paired)[0, 1])
    # cut to 0 and 1; a judge that always says the same has no spread to divide by
    trust = min(1.0, max(0.0, shared / ((1 + n / more) * spread))) if spread else 0.0
    rest = _residuals(labels, paired, trust)
    variance = trust**2 * spread / more + float(rest.var(ddof=1)) / len(rest)
    from_judge = trust * float(others.mean())
    # the estimate is the plain one; its interval lies around that with the two rows more of `_residuals`
    value, middle = from_judge + float((labels - trust * paired).mean()), from_judge + float(rest.mean())
    error = math.sqrt(variance)
    half = t_of(level, n - 1) * error
    interval = Interval(value, min(value, middle - half), max(value, middle + half), error)
    # n human labels have the variance var(human) / n: solved for n
    as_good = float(labels.var(ddof=1)) / variance if variance else math.inf
    return PredictionPowered(interval, trust, as_good)


def _residuals(human: NDArray[np.float64], judged: NDArray[np.float64], trust: float) -> NDArray[np.float64]:
    """Return what people say beyond the judge, of labels 0 and 1 with a row more of either disagreement.

    A judge that errs in few rows has often erred in none of those that people saw, which would leave no variance.
    """
    if np.isin([human, judged], (0, 1)).all():
        human, judged = np.append(human, [1, 0]), np.append(judged, [0, 1])
    return human - trust * judged
