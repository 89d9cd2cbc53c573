"""Figures that are a ratio of sums over the rows, such as F1, as a mean of the rows' own scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ratio_scores(numerators: ArrayLike, denominators: ArrayLike) -> NDArray[np.float64]:
    """Return scores [n] whose mean is the ratio R of two sums, and whose spread is that of R.

    Of each row, it is what it adds to the first order, R + (a_i - R * b_i) / mean(b): W. G. Cochran, "Sampling
    techniques" (1977), section 2.11; A. C. Davison and D. V. Hinkley, "Bootstrap methods and their application" (1997),
    section 2.7.2. A denominator without any rows has the ratio 0.

    >>> ratio_scores([1, 2, 0], [2, 2, 2]).tolist()
    [0.5, 1.0, 0.0]
    """
    above, below = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    if not below.sum():
        return np.zeros(len(above))
    ratio = above.sum() / below.sum()
    return np.asarray(ratio + (above - ratio * below) / below.mean(), dtype=float)
