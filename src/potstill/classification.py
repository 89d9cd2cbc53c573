"""Figures of merit of a classifier, as pure functions: precision, recall and F1 by class, and their mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ClassScore:
    """How well one class is told from the others."""

    label: str
    """Name of the class."""
    n: int
    """Test rows of the class."""
    precision: float
    """Share of the rows named so that are; 0 where none is named so."""
    recall: float
    """Share of its rows that are named so."""
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
    return [
        ClassScore(
            label,
            rows[label],
            right[label] / named[label] if named[label] else 0.0,
            right[label] / rows[label],
            2 * right[label] / (rows[label] + named[label]),
        )
        for label in sorted(rows)
    ]


def macro_f1(scores: Sequence[ClassScore]) -> float:
    """Return the plain mean of the classes' F1, in which a rare class weighs as much as a common one.

    Reference: J. Opitz and S. Burst, "Macro F1 and Macro F1" (2019, arXiv 1911.03347): the mean of the F1s, not the
    F1 of the means.
    """
    return sum(score.f1 for score in scores) / len(scores)
