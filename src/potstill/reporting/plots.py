"""Quality against size, latency and cost, a plot a test set: who stands on the front, and who is not drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from potstill.reporting.kinds import number
from potstill.reporting.model_table import Measured, Section
from potstill.reporting.number_formats import decimal, interval, percent, round_size, size
from potstill.reporting.ruling import evaluated_by, runtime_of
from potstill.reporting.scatter import Point, Scatter, front, scatter


@dataclass(frozen=True)
class Axis:
    """What quality is held against."""

    name: str
    """In the heading: `size`."""
    title: str
    """At the axis."""
    of: Callable[[Measured], float | None]
    """The value of a model; less is better."""
    shown: Callable[[float], str]
    """The value as text."""
    tick: Callable[[float], str]
    """The value at a tick."""
    runtime: Callable[[Measured], str]
    """What measured the value of a model, if values compare only where one runtime measured them; else nothing."""
    missing: str
    """What is said of models without a value."""


@dataclass(frozen=True)
class Plot:
    """One plot."""

    axis: Axis
    """What quality is plotted against."""
    set: str
    """Name of the test set."""
    runtime: str
    """What ran the models, where only models of one runtime compare."""
    drawing: Scatter
    """Points, axes and front."""
    notes: Mapping[str, str]
    """By label: the figures of a model in words."""
    front: tuple[str, ...]
    """Labels of the models that none surpasses in both."""
    unplaced: tuple[str, ...]
    """Models of which this is not known."""

    @property
    def words(self) -> str:
        """Return which models are drawn as the front, and which are missing."""
        front_words = f"On the front: {', '.join(self.front)}." if self.drawing.front else ""
        missing = f"{self.axis.missing}, so not drawn: {', '.join(self.unplaced)}." if self.unplaced else ""
        return " ".join(filter(None, (front_words, missing)))


def plots_of(section: Section) -> list[Plot]:
    """Return the plots of a section, by axis and test set; none where its main figure is no share."""
    if section.main.unit != "share":
        return []
    axes = [SIZE, *([LATENCY] if section.kind.writes else []), COST]
    return [plot for axis in axes for name in section.sets for plot in _plots(axis, name, section)]


def _plots(axis: Axis, name: str, section: Section) -> Iterator[Plot]:
    """Yield the plots of one axis and test set, one for each runtime that measured several models."""
    measured = [model for model in section.models if model.value(section.main, name) is not None]
    placed = [model for model in measured if _positive(axis.of(model))]
    groups: dict[str, list[Measured]] = {}
    for model in placed:
        groups.setdefault(axis.runtime(model), []).append(model)
    unplaced = tuple(model.label for model in measured if model not in placed)
    for runtime, models in groups.items():
        if len(models) > 1 or axis is SIZE:
            yield _plot(axis, name, section, models, runtime, unplaced)


def _plot(
    axis: Axis, name: str, section: Section, models: Sequence[Measured], runtime: str, unplaced: tuple[str, ...]
) -> Plot:
    """Return one plot."""
    figure, points, notes = section.main, [], {}
    for model in models:
        value, at = model.value(figure, name) or 0.0, axis.of(model) or 0.0
        low, high = figure.bounds(model.sets.get(name)) or (value, value)
        points.append(Point(model.label, at, value, low, high, model.reference))
        notes[model.label] = f"{model.label}: {percent(value)} ({interval(low, high)}), {axis.shown(at)}"
    labels = tuple(point.label for point in front(points))
    return Plot(axis, name, runtime, scatter(points, axis.tick), notes, labels, unplaced)


def _positive(value: float | None) -> bool:
    return value is not None and value > 0


def _seconds_per_thousand(model: Measured) -> float | None:
    """Return the seconds in which a model answers a thousand rows, all asked at once."""
    engine = model.metrics.get("engine")
    seconds = number(engine, "seconds") if isinstance(engine, Mapping) else None
    rows = sum(number(scores, "n") or 0.0 for scores in model.sets.values())
    return 1000 * seconds / rows if seconds and rows else None


SIZE = Axis(
    "size", "weights on disk, log scale", lambda model: model.bytes, size, round_size, lambda _: "", "Size unknown"
)
LATENCY = Axis(
    "latency",
    "median time to the first token, ms, log scale",
    lambda model: model.figure("first_token_ms_p50"),
    lambda value: f"{decimal(value)}\u202fms to the first token",
    lambda value: f"{value:g}",
    runtime_of,
    "Not measured",
)
COST = Axis(
    "cost",
    "seconds of the machine for 1,000 rows, log scale",
    _seconds_per_thousand,
    lambda value: f"{decimal(value)}\u202fs for 1,000 rows",
    lambda value: f"{value:g}",
    evaluated_by,
    "Not measured",
)
