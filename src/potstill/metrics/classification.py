"""Figures of merit of a classifier, as pure functions: precision, recall and F1 by class, their mean, and Matthews'."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ClassScore:
    """How well one class is distinguished from the others."""

    label: str
    """Name of the class."""
    n: int
    """Test rows, or spans, of the class."""
    precision: float
    """Share of those named so that are; 0 where none is named so."""
    recall: float
    """Share of those of the class that are named so; 0 where there is none."""
    f1: float
    """Harmonic mean of both: 2 true positives / (2 true positives + false positives + false negatives)."""


def class_scores(expected: Sequence[str], predicted: Sequence[str]) -> list[ClassScore]:
    """Return the scores of every class that is expected, by name.

    Reference: C. J. van Rijsbergen, "Information Retrieval" (1979), chapter 7, with equal weights.

    >>> [(score.label, score.f1) for score in class_scores(["a", "a", "b"], ["a", "c", "b"])]
    [('a', 0.6666666666666666), ('b', 1.0)]
    """
    rows, named = Counter(expected), Counter(predicted)
    right = Counter(a for a, b in zip(expected, predicted, strict=True) if a == b)
    return [score_of(label, rows[label], named[label], right[label]) for label in sorted(rows)]


def score_of(label: str, expected: int, named: int, right: int) -> ClassScore:
    """Return the scores of a class from how often it is `expected`, `named`, and named `right`; 0 where it never is."""
    return ClassScore(
        label,
        expected,
        right / named if named else 0.0,
        right / expected if expected else 0.0,
        2 * right / (expected + named) if expected + named else 0.0,
    )


def macro_f1(scores: Sequence[ClassScore]) -> float:
    """Return the plain mean of the classes' F1, in which a rare class weighs as much as a common one.

    Reference: J. Opitz and S. Burst, "Macro F1 and Macro F1" (2019, arXiv 1911.03347): the mean of the F1s, not the
    F1 of the means.
    """
    return sum(score.f1 for score in scores) / len(scores)


def matthews(expected: Sequence[str], predicted: Sequence[str]) -> float | None:
    """Return the correlation of right and predicted classes, from -1 to 1; 0 is what a guess has.

    `None` where all rows are of one class, or are predicted to be: what does not vary correlates with nothing.

    Reference: J. Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient",
    Computational Biology and Chemistry 28 (2004), equation 8; with two classes it is the coefficient of B. W. Matthews,
    "Comparison of the predicted and observed secondary structure of T4 phage lysozyme", Biochimica et Biophysica Acta
    405 (1975).

    >>> matthews(["a", "a", "b", "b"], ["a", "b", "b", "b"])
    0.5773502691896258
    """
    count = len(expected)
    right = sum(a == b for a, b in zip(expected, predicted, strict=True))
    rows, named = Counter(expected), Counter(predicted)
    # whole numbers, so that a product of spreads that is 0 is exactly 0
    together = count * right - sum(rows[label] * named[label] for label in rows)
    spread = count**2 - sum(number**2 for number in rows.values())
    other = count**2 - sum(number**2 for number in named.values())
    return together / math.sqrt(spread * other) if spread and other else None
