"""The curves of all trainings behind a report: losses against steps, thinned to what a plot can show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.engine.context import Ancestor
from potstill.reporting.kinds import number
from potstill.reporting.number_formats import count, decimal, seconds
from potstill.reporting.scatter import Tick

WIDTH, HEIGHT = 300.0, 150.0
"""Size of a plot; ticks stand outside."""
POINTS = 150
"""Points of a curve that are drawn."""


@dataclass(frozen=True)
class Line:
    """One curve."""

    name: str
    """Its name in the legend."""
    mark: str
    """`loss` or `validation`, which are drawn differently."""
    path: str
    """An SVG path of numbers only."""


@dataclass(frozen=True)
class Curve:
    """One training."""

    step: str
    """Name of the step."""
    type: str
    """Class of the step."""
    lines: tuple[Line, ...]
    """The loss, and where there is one the validation loss."""
    x_ticks: tuple[Tick, ...]
    """Marks of training steps."""
    y_ticks: tuple[Tick, ...]
    """Marks of losses."""
    words: str
    """First and last loss, steps, speed."""


def curves_of(lineage: Sequence[Ancestor]) -> list[Curve]:
    """Return the curves of all steps that noted one."""
    return [curve for curve in map(_curve, lineage) if curve is not None]


def _curve(ancestor: Ancestor) -> Curve | None:
    """Return the curve of one step; none where it noted less than two points."""
    notes = ancestor.manifest.get("notes") or {}
    losses = _points(notes.get("curve"), "loss")
    if len(losses) < 2:
        return None
    validation = _points(notes.get("evaluations"), "validation_loss")
    every = [*losses, *validation]
    last = max(step for step, _ in every)
    low, high = min(0.0, *(value for _, value in every)), max(value for _, value in every)
    high = high if high > low else low + 1.0

    def place(point: tuple[float, float]) -> str:
        step, value = point
        return f"{WIDTH * step / last:.1f} {HEIGHT * (high - value) / (high - low):.1f}"

    lines = [Line("training loss", "loss", _path([place(one) for one in _thinned(losses)]))]
    if validation:
        lines.append(Line("validation loss", "validation", _path([place(one) for one in validation])))
    y_ticks = tuple(Tick(HEIGHT * (high - value) / (high - low), decimal(value)) for value in (high, low))
    return Curve(
        ancestor.name,
        ancestor.type,
        tuple(lines),
        (Tick(WIDTH, f"{count(int(last))} steps"),),
        y_ticks,
        _words(losses, validation, notes, ancestor.manifest.get("seconds")),
    )


def _points(history: object, name: str) -> list[tuple[float, float]]:
    """Return step and finite value of each point that has both."""
    points = [one for one in history if isinstance(one, Mapping)] if isinstance(history, list) else []
    pairs = [(number(one, "step"), number(one, name)) for one in points]
    return [(step, value) for step, value in pairs if step is not None and step > 0 and value is not None]


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most so many points, each the mean of those around it."""
    size = math.ceil(len(points) / POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(own[-1][0], sum(value for _, value in own) / len(own)) for own in groups]


def _path(places: Sequence[str]) -> str:
    """Return a path through places."""
    # of one point alone, a dot: a line of no length with round ends
    return f"M{'L'.join(places)}" if len(places) > 1 else f"M{places[0]}h0"


def _words(
    losses: Sequence[tuple[float, float]],
    validation: Sequence[tuple[float, float]],
    notes: Mapping[str, Any],
    took: float | None,
) -> str:
    """Return what the curve says, in words."""
    parts = [f"training loss {losses[0][1]:.3g} to {losses[-1][1]:.3g}"]
    parts += [f"validation loss {min(value for _, value in validation):.3g} at best"] if validation else []
    speed = number(notes, "tokens_per_second")
    parts += [f"{decimal(speed)} tokens a second"] if speed else []
    return ", ".join([*parts, *([seconds(took)] if took else [])])
