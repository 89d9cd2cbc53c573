"""Whether confidences can be believed: Brier score and calibration error, and what a calibrated model would show.

Shapes: n rows, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from potstill.metrics.answers import Proportion, wilson

BINS = 15
"""Bins of confidences (Guo et al. 2017)."""


@dataclass(frozen=True)
class Bin:
    """Rows of about the same confidence."""

    n: int
    """How many there are."""
    confidence: float
    """Their mean confidence."""
    right: Proportion
    """The share that is right, with Wilson's interval."""


@dataclass(frozen=True)
class CalibrationError:
    """The calibration error of a model, beside that of a calibrated one on as many rows."""

    value: float
    """The expected calibration error."""
    calibrated: float
    """The mean error that a perfectly calibrated model with these confidences shows: it is not 0."""
    calibrated_high: float
    """What a calibrated model stays below with probability 0.95."""
    p: float
    """How often a calibrated model shows as much."""


def brier(confidences: ArrayLike, right: ArrayLike) -> float:
    """Return the Brier score of confidences that answers are right: the mean of (confidence - right)^2, 0 at best.

    G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78 (1950),
    equation 2, halved, as is usual for two outcomes.

    Raises:
        ValueError: there are no rows, not as many of both, or a confidence is no probability.

    >>> round(brier([0.9, 0.6], [1, 0]), 3)
    0.185
    """
    confidence, outcome = _checked(confidences, right)
    return float(((confidence - outcome) ** 2).mean())


def brier_of_classes(probabilities: ArrayLike, classes: Sequence[int]) -> float:
    """Return the Brier score of probabilities [n, C] of classes: the mean of the sums over classes, from 0 to 2.

    Brier 1950, equation 2.

    Raises:
        ValueError: there are no rows, or not as many classes.

    >>> round(brier_of_classes([[0.7, 0.2, 0.1]], [0]), 2)
    0.14
    """
    table = np.asarray(probabilities, dtype=float)
    if table.ndim != 2 or not len(table) or len(table) != len(classes):
        raise ValueError(f"each of {len(classes)} rows needs the probabilities of its classes, got {table.shape}")
    # the rows of the identity are one-hot labels
    return float(((table - np.eye(table.shape[1])[list(classes)]) ** 2).sum(axis=1).mean())


def reliability(confidences: ArrayLike, right: ArrayLike, bins: int = BINS) -> list[Bin]:
    """Return the rows by confidence, in bins of one width from 0 to 1; empty ones are left out.

    Raises:
        ValueError: as in `brier`.
    """
    confidence, outcome = _checked(confidences, right)
    numbers = _bin_numbers(confidence, bins)
    filled_bins = []
    for number in np.unique(numbers):
        own = numbers == number
        count = int(own.sum())
        filled_bins.append(Bin(count, float(confidence[own].mean()), wilson(round(outcome[own].sum()), count)))
    return filled_bins


def calibration_error(
    confidences: ArrayLike, right: ArrayLike, bins: int = BINS, *, draws: int = 1_000, seed: int = 0
) -> CalibrationError:
    """Return the expected calibration error, and what a calibrated model of that size would show.

    It is the mean over rows of the distance between the mean confidence and the share that is right in the row's bin:
    C. Guo, G. Pleiss, Y. Sun and K. Q. Weinberger, "On calibration of modern neural networks" (2017, arXiv 1706.04599),
    equation 3. On few rows it is far above 0 even for a calibrated model, so that outcomes are drawn from the
    confidences and measured in the same way: J. Vaicenavicius et al., "Evaluating model calibration in classification"
    (2019, arXiv 1902.06977), after J. Bröcker and L. A. Smith, "Increasing the reliability of reliability diagrams",
    Weather and Forecasting 22 (2007; consistency resampling).

    Raises:
        ValueError: as in `brier`.
    """
    confidence, outcome = _checked(confidences, right)
    numbers = _bin_numbers(confidence, bins)
    value = float(_errors(confidence, outcome[None], numbers, bins)[0])
    rng = np.random.default_rng(seed)
    usual = np.concatenate([_drawn(rng, confidence, numbers, bins, block) for block in _blocks(draws, len(confidence))])
    # the observed error counts as a draw, so that p is never 0
    as_much = (1 + int((usual >= value).sum())) / (1 + draws)
    return CalibrationError(value, float(usual.mean()), float(np.quantile(usual, 0.95)), as_much)


def _drawn(
    rng: np.random.Generator, confidence: NDArray[np.float64], numbers: NDArray[np.int64], bins: int, block: int
) -> NDArray[np.float64]:
    """Return the errors of a calibrated model in a block of draws."""
    # consistency resampling: an outcome is right with the probability that its confidence states
    return _errors(confidence, (rng.random((block, len(confidence))) < confidence).astype(float), numbers, bins)


def _errors(
    confidence: NDArray[np.float64], outcomes: NDArray[np.float64], numbers: NDArray[np.int64], bins: int
) -> NDArray[np.float64]:
    """Return the calibration error of each set of outcomes [B, n]."""
    member = np.eye(bins)[numbers]  # [n, bins]
    # n_b / n * |acc_b - conf_b| = |sum of outcomes - sum of confidences| / n: the bin sizes cancel (equation 3)
    gaps = np.abs(outcomes @ member - confidence @ member)
    return np.asarray(gaps.sum(axis=1) / len(confidence))


def _bin_numbers(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Return the number of each confidence's bin; those on an edge belong below it, as in Guo et al."""
    # a confidence of 0 would lie below the first bin, which is open there: hence the clip
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def _blocks(draws: int, rows: int) -> list[int]:
    """Return how many draws are made at once, so that memory stays bounded."""
    size = max(1, 2_000_000 // rows)
    return [min(size, draws - first) for first in range(0, draws, size)]


def _checked(confidences: ArrayLike, right: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both as arrays.

    Raises:
        ValueError: there are no rows, not as many of both, or a confidence is no probability.
    """
    confidence, outcome = np.asarray(confidences, dtype=float), np.asarray(right, dtype=float)
    if confidence.ndim != 1 or confidence.shape != outcome.shape or not confidence.size:
        raise ValueError(
            f"each row needs a confidence and whether it is right, got {confidence.shape} and {outcome.shape}"
        )
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise ValueError("confidences are probabilities from 0 to 1; some are not, or are NaN")
    return confidence, outcome
