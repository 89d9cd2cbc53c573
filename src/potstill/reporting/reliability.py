"""Whether confidences can be believed, drawn: the share that is right against the confidence, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from potstill.metrics.kept_rows import KeptAnswer
from potstill.metrics.uncertainty.calibration import CalibrationError, brier, calibration_error, reliability
from potstill.reporting.kinds import CHOICES
from potstill.reporting.model_table import Measured, Section
from potstill.reporting.number_formats import percent
from potstill.reporting.samples import Samples

SIDE = 200.0
"""Width and height of the square in which a plot is drawn."""
SURE = 0.05
"""Probability below which an error is called more than that of a calibrated model."""


@dataclass(frozen=True)
class Dot:
    """Rows of about the same confidence."""

    x: float
    """Where the mean confidence is."""
    y: float
    """Where the share that is right is."""
    y_low: float
    """Where the interval of that share begins."""
    y_high: float
    """Where it ends."""
    radius: float
    """Radius, larger for more rows."""
    note: str
    """The figures in words."""


@dataclass(frozen=True)
class Reliability:
    """One model on one test set."""

    model: str
    """Label of the model."""
    set: str
    """Name of the test set."""
    dots: tuple[Dot, ...]
    """One for each bin of confidences."""
    words: tuple[str, ...]
    """What the figures say: calibration error with that of a calibrated model, Brier score."""


def reliabilities_of(section: Section, samples: Samples) -> list[Reliability]:
    """Return the plots of all models that say how probable their answers are."""
    if section.kind is CHOICES and any(_compared_by(model) != "sum" for model in section.models):
        return []  # the probability is that of a choice which was not taken
    plots = []
    for name in section.sets:
        rows = [row for row in samples.rows if row.set == name]
        for place, model in enumerate(samples.models):
            answers = [own for row in rows if (own := row.answers[place]) is not None]
            if answers and all(one.probability is not None and one.right is not None for one in answers):
                plots.append(_reliability(model, name, answers))
    return plots


def _compared_by(model: Measured) -> str:
    """Return by what a model's choices were compared: its probabilities are those of the choices as they are."""
    engine = model.metrics.get("engine")
    return str(engine.get("by")) if isinstance(engine, Mapping) else ""


def _reliability(model: str, name: str, answers: Sequence[KeptAnswer]) -> Reliability:
    """Return the plot of one model on one test set."""
    # a sum of rounded numbers may be a little more than 1
    confidences = [min(1.0, max(0.0, one.probability or 0.0)) for one in answers]
    right = [bool(one.right) for one in answers]
    bins = reliability(confidences, right)
    dots = tuple(
        Dot(
            SIDE * one.confidence,
            SIDE * (1 - one.right.value),
            SIDE * (1 - one.right.low),
            SIDE * (1 - one.right.high),
            1.5 + 4 * (one.n / len(answers)) ** 0.5,
            f"{one.n} answers of confidence {percent(one.confidence)}: {percent(one.right.value)} right "
            f"({percent(one.right.low)} to {percent(one.right.high)})",
        )
        for one in bins
    )
    return Reliability(model, name, dots, _words(calibration_error(confidences, right), brier(confidences, right)))


def _words(error: CalibrationError, score: float) -> tuple[str, ...]:
    """Return the figures in words."""
    usual = f"a calibrated model of as many rows shows {percent(error.calibrated)}, rarely over "
    verdict = "more than chance" if error.p < SURE else "no more than chance"
    return (
        f"Calibration error {percent(error.value)}: {verdict} ({usual}{percent(error.calibrated_high)}).",
        f"Brier score {score:.3f}.",
    )
