"""Every test row with a classifier's answer, kept as a file beside the figures, and whether its probabilities hold."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.metrics.kept_rows import SPANS
from potstill.metrics.spans import spans
from potstill.metrics.uncertainty.calibration import brier, calibration_error

TEXTS = {"id": "text", "set": "text", "input": "text", "gold": "text", "answer": "text"}
"""Columns that all have."""
CLASS_COLUMNS: Mapping[str, str] = {**TEXTS, "probability": "number", "correct": "flag"}
"""Columns of a classifier of texts, and what they hold."""
WORD_COLUMNS: Mapping[str, str] = {**TEXTS, "correct": "flag", **dict.fromkeys(SPANS, "count")}
"""Columns of a classifier of words: texts and labels are lists as JSON."""


@dataclass(frozen=True)
class Answer:
    """What a classifier says of one text."""

    prediction: Any
    """The class; of words, the label of each word by its number."""
    probability: float
    """Of that class; NaN where it is of several words."""


def calibration(answers: Sequence[Answer], right: Sequence[bool]) -> dict[str, float]:
    """Return whether the probabilities of answers hold; nothing where there are none.

    `brier` is the mean of (probability - right)^2, `calibration_error` the expected one in 15 bins. The latter is above
    0 for a calibrated model too, the more the fewer rows: what such a one has on average, and stays below in 19 of 20
    test sets, stands beside it.
    """
    probabilities = [answer.probability for answer in answers]
    if not probabilities or not all(math.isfinite(one) for one in probabilities):
        return {}
    probabilities = [
        min(1.0, max(0.0, one)) for one in probabilities
    ]  # a sum of rounded numbers may be a little more than 1
    error = calibration_error(probabilities, right)
    return {
        "brier": brier(probabilities, right),
        "calibration_error": error.value,
        "calibration_error_of_calibrated": error.calibrated,
        "calibration_error_of_calibrated_high": error.calibrated_high,
        "calibration_error_p": error.p,
    }


def class_rows(
    name: str, ids: Sequence[str], texts: Sequence[Any], labels: Sequence[Any], answers: Sequence[Answer]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the test set `name`, of a classifier of texts."""
    for row, text, label, answer in zip(ids, texts, labels, answers, strict=True):
        yield {
            "id": row,
            "set": name,
            "input": text,
            "gold": str(label),
            "answer": answer.prediction,
            "probability": answer.probability if math.isfinite(answer.probability) else None,
            "correct": answer.prediction == str(label),
        }


def word_rows(
    name: str,
    ids: Sequence[str],
    texts: Sequence[Sequence[str]],
    expected: Sequence[Sequence[str]],
    predicted: Sequence[Sequence[str]],
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the test set `name`, of a classifier of words: labels of the words that count."""
    for row, words, gold, answer in zip(ids, texts, expected, predicted, strict=True):
        gold_spans, predicted_spans = spans(gold), spans(answer)
        counts = (len(set(gold_spans) & set(predicted_spans)), len(predicted_spans), len(gold_spans))
        yield {
            "id": row,
            "set": name,
            "input": json.dumps(words, ensure_ascii=False),
            "gold": json.dumps(gold, ensure_ascii=False),
            "answer": json.dumps(answer, ensure_ascii=False),
            "correct": list(gold) == list(answer),
            **dict(zip(SPANS, counts, strict=True)),
        }
