"""The differences of all models from the reference with their intervals, drawn one below the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from potstill.reporting.gains import LOGARITHMS, PLAIN, Gain, gain_of, gain_text
from potstill.reporting.kinds import Figure
from potstill.reporting.model_table import Section
from potstill.reporting.ruling import Ruling

WIDTH = 420.0
"""Width of the part in which intervals are drawn."""


@dataclass(frozen=True)
class Interval:
    """One model's difference from the reference."""

    label: str
    """Label of the model."""
    text: str
    """The difference in words and figures."""
    by: str
    """How the interval was made."""
    x: float
    """Where the difference is."""
    x_low: float
    """Where the interval begins."""
    x_high: float
    """Where the interval ends."""
    verdict: str
    """`worse`, `better`, or nothing where the interval holds 0."""


@dataclass(frozen=True)
class Forest:
    """All differences on one test set."""

    set: str
    """Name of the test set."""
    reference: str
    """Label of the model that all are compared with."""
    lines: tuple[Interval, ...]
    """One for each model."""
    zero: float
    """Where no difference is."""
    bound: float | None
    """Where the loss is that the verdict allows, if it is drawn."""
    width: float
    """Width of the drawing."""


def forests_of(section: Section, ruling: Ruling | None) -> list[Forest]:
    """Return the differences of a section by test set; a set of which none is known has none.

    Of a student with several seeds, the difference over all of them follows those of its models.
    """
    within = ruling.within if ruling else 0.0
    ruled = ruling.students if ruling and ruling.baseline is section.reference else ()
    over_seeds = list(dict.fromkeys(gain for one in ruled for gain in one.gains if gain.seeds > 1))
    forests = []
    for name in section.sets:
        gains = [
            gain
            for model in section.models
            if not model.reference and (gain := gain_of(model, section.reference, section.main, name, within))
        ]
        gains += [gain for gain in over_seeds if gain.set == name]
        if gains:
            forests.append(_forest(name, gains, section.main, within))
    return forests


def _forest(name: str, gains: Sequence[Gain], figure: Figure, within: float) -> Forest:
    """Return the differences on one test set."""
    ends = [_ends(gain, figure) for gain in gains]
    bound = -(100 * within) if within else 0.0
    low = min(bound, 0.0, *(one[1] for one in ends))
    high = max(0.0, *(one[2] for one in ends))
    margin = 0.04 * (high - low) or 1.0
    low, high = low - margin, high + margin

    def across(value: float) -> float:
        return WIDTH * (value - low) / (high - low)

    lines = []
    for gain, (value, least, most) in zip(gains, ends, strict=True):
        label = f"{gain.first} ({gain.seeds} seeds)" if gain.seeds > 1 else gain.first
        by = gain.by if gain.is_paired else f"{gain.by}, not the same rows"
        verdict = "worse" if most < 0 else "better" if least > 0 else ""
        text = gain_text(gain, figure)
        lines.append(Interval(label, text, by, across(value), across(least), across(most), verdict))
    bound_at = across(bound) if within else None
    return Forest(name, gains[0].second, tuple(lines), across(0.0), bound_at, WIDTH)


def _ends(gain: Gain, figure: Figure) -> tuple[float, float, float]:
    """Return difference and ends of its interval in points, or percent of perplexity; more is better."""
    if figure.name in LOGARITHMS:
        return 100 * math.expm1(gain.value), 100 * math.expm1(gain.low), 100 * math.expm1(gain.high)
    scale = 1.0 if figure.name in PLAIN else 100.0
    return gain.value * scale, gain.low * scale, gain.high * scale
