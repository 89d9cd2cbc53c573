"""Metrics of classes on a test set, for models and for labels in rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from potstill.metrics.answers import against_most_common, packed, wilson
from potstill.metrics.classification import class_scores, macro_f1, matthews
from potstill.steps.evaluation.class_rows import Answer, calibration

if TYPE_CHECKING:
    from potstill.metrics.classification import ClassScore


def class_figures(
    expected: Sequence[str], answers: Sequence[Answer], unknown: Sequence[str], worst: int
) -> dict[str, Any]:
    """Return the metrics of one test set: accuracy, F1 by class, confusions, and whether probabilities hold.

    Args:
        expected: the right class of each row.
        answers: who was asked says what of each.
        unknown: right classes that can't be answered.
        worst: classes with the lowest F1 that are listed, and pairs that are mixed up.
    """
    predicted = [str(answer.prediction) for answer in answers]
    right = [prediction == label for prediction, label in zip(predicted, expected, strict=True)]
    accuracy = wilson(sum(right), len(expected))
    scores = class_scores(expected, predicted)
    return {
        "n": len(expected),
        "accuracy": accuracy.value,
        "accuracy_low": accuracy.low,
        "accuracy_high": accuracy.high,
        "macro_f1": macro_f1(scores),
        "matthews": matthews(expected, predicted),
        "worst": lowest(scores, worst),
        "mixed_up": mixed_up(expected, predicted, "rows", worst),
        "unknown_labels": list(unknown),
        **calibration(answers, right),
        **against_most_common(expected, right),
        "row_right": packed(right),
    }


def lowest(scores: Iterable[ClassScore], worst: int) -> list[dict[str, Any]]:
    """Return the `worst` classes with the lowest F1, the worst first."""
    return [asdict(score) for score in sorted(scores, key=lambda score: (score.f1, score.label))[:worst]]


def mixed_up(expected: Iterable[str], predicted: Iterable[str], unit: str, worst: int) -> list[dict[str, Any]]:
    """Return the `worst` pairs that are mixed up most, and how often, in a field that the `unit` names."""
    mixed = Counter((a, b) for a, b in zip(expected, predicted, strict=True) if a != b)
    most = sorted(mixed.items(), key=lambda item: (-item[1], item[0]))[:worst]
    return [{"label": a, "predicted": b, unit: count} for (a, b), count in most]
