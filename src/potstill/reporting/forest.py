"""The differences of all models from the reference with their intervals, drawn one below the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from potstill.reporting.gains import LOGARITHMS, Gain, gain_of, gain_text
from potstill.reporting.kinds import Figure
from potstill.reporting.model_table import Section
from potstill.reporting.scatter import Tick

WIDTH = 420.0
"""Width of the part in which intervals are drawn."""
LINE = 26.0
"""Height of a model's line."""


@dataclass(frozen=True)
class Interval:
    """One model's difference from the reference."""

    label: str
    text: str
    """The difference in words and figures."""
    by: str
    """How the interval was made."""
    x: float
    x_low: float
    x_high: float
    y: float
    verdict: str
    """`worse`, `better`, or nothing where the interval holds 0."""


@dataclass(frozen=True)
class Forest:
    """All differences on one test set."""

    set: str
    reference: str
    lines: tuple[Interval, ...]
    zero: float
    """Where no difference is."""
    bound: float | None
    """Where the loss is that the verdict allows, if it is drawn."""
    ticks: tuple[Tick, ...]
    width: float
    height: float


def forests_of(section: Section, within: float) -> list[Forest]:
    """Return the differences of a section by test set; a set of which none is known has none."""
    forests = []
    for name in section.sets:
        gains = [
            gain
            for model in section.models
            if not model.reference and (gain := gain_of(model, section.reference, section.main, name, within))
        ]
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

    lines = tuple(
        Interval(
            gain.first,
            gain_text(gain, figure),
            gain.by if gain.is_paired else f"{gain.by}, not the same rows",
            *(across(value) for value in one),
            LINE * (place + 0.5),
            "worse" if one[2] < 0 else "better" if one[1] > 0 else "",
        )
        for place, (gain, one) in enumerate(zip(gains, ends, strict=True))
    )
    step = next(size for size in _steps() if (high - low) / size <= 7)
    numbers = range(math.ceil(low / step), math.floor(high / step) + 1)
    ticks = tuple(Tick(across(number * step), f"{number * step:g}") for number in numbers)
    bound_at = across(bound) if within else None
    return Forest(name, gains[0].second, lines, across(0.0), bound_at, ticks, WIDTH, LINE * len(lines))


def _ends(gain: Gain, figure: Figure) -> tuple[float, float, float]:
    """Return difference and ends of its interval in points, or percent of perplexity; more is better."""
    if figure.name in LOGARITHMS:
        return 100 * math.expm1(gain.value), 100 * math.expm1(gain.low), 100 * math.expm1(gain.high)
    scale = 1.0 if figure.name == "bleu" else 100.0
    return gain.value * scale, gain.low * scale, gain.high * scale


def _steps() -> Sequence[float]:
    """Return the distances of ticks, from small to large."""
    return [factor * 10.0**power for power in range(-3, 7) for factor in (1, 2, 5)]
