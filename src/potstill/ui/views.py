"""What the pages show, as values for the templates: the graph of a run with its states, curves, figures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from potstill.engine.progress import describe
from potstill.engine.store.run_history import RunHistory, StepHistory, StepState
from potstill.reporting.graph_folding import folded
from potstill.reporting.graph_layout import Arrow, Box, Layers, Node, layers
from potstill.reporting.number_formats import seconds

FIGURES = 200
"""Metrics of a step that its page shows."""
WIDTH, HEIGHT, LEFT, BOTTOM = 560.0, 200.0, 52.0, 26.0
"""Size of the drawing of a curve, and room for its numbers, in its own units."""
WIDEST = "123 steps, not run"
"""What a box has room for; the width of a letter is taken as that of a wide one."""
URGENT: Sequence[StepState] = (
    "failed",
    "stopped",
    "running",
    "gone",
    "skipped",
    "waiting",
    "ran",
    "kept",
    "hit",
)
"""States, the one that asks most for a look first."""
WORDS = {
    "waiting": "waiting",
    "running": "running",
    "hit": "cached",
    "ran": "ran",
    "failed": "failed",
    "skipped": "not run",
    "stopped": "stopped",
    "kept": "in the store",
    "gone": "gone",
    "done": "done",
    "interrupted": "interrupted",
    "killed": "killed",
    "recorded": "recorded",
}
"""How a state is written."""


@dataclass(frozen=True)
class DrawnStep:
    """A box of the graph with what became of its step."""

    box: Box
    """Where it is."""
    steps: tuple[StepHistory, ...]
    """What became of it, or of the steps that the box stands for."""
    state: StepState
    """Its state, or of several the one that asks most for a look."""
    note: str
    """The second line: its state and how long it took."""


@dataclass(frozen=True)
class Graph:
    """The graph of a run."""

    steps: Sequence[DrawnStep]
    """Its boxes."""
    arrows: Sequence[Arrow]
    """Its edges."""
    width: float
    """Width, in pixels."""
    height: float
    """Height, in pixels."""


@dataclass(frozen=True)
class Series:
    """One line of a curve."""

    name: str
    """What it shows."""
    path: str
    """An SVG path of numbers only."""
    last: str
    """Its last value, as a text."""


@dataclass(frozen=True)
class Curve:
    """A drawn curve."""

    title: str
    """What is drawn."""
    series: Sequence[Series]
    """Its lines."""
    ticks: Sequence[tuple[float, str]]
    """Heights with their values."""
    steps: tuple[str, str]
    """First and last training step."""


def graph_of(run: RunHistory, now: float | None = None) -> Graph:
    """Return the drawn graph of a run."""
    by_name = {step.name: step for step in run.steps}
    # with room for any note, so that nothing moves while the run goes on
    nodes = tuple(Node(step.name, WIDEST, step.inputs, step.name in run.outputs.values()) for step in run.steps)
    drawn = _laid_out(nodes, tuple(step.type for step in run.steps))
    steps = []
    for box in drawn.boxes:
        own = tuple(by_name[name] for name in box.node.members or (box.node.name,))
        state = min((step.state for step in own), key=URGENT.index)
        note = f"{len(own)} steps, {WORDS[state]}" if len(own) > 1 else note_of(own[0], now)
        steps.append(DrawnStep(box, own, state, note))
    return Graph(steps, drawn.arrows, drawn.width, drawn.height)


@lru_cache(maxsize=32)  # a run that is watched is drawn every second
def _laid_out(nodes: tuple[Node, ...], types: tuple[str, ...]) -> Layers:
    """Return where the boxes of a graph are; steps are folded by their types, and as wide as any note."""
    typed = [replace(node, type=kind) for node, kind in zip(nodes, types, strict=True)]
    return layers([replace(node, type=WIDEST, note="") for node in folded(typed)])


def note_of(step: StepHistory, now: float | None = None) -> str:
    """Return the state of a step in words, with how long it took or runs."""
    word = WORDS[step.state]
    if step.state == "running" and step.started:
        return f"{word}, {seconds(max(0.0, (now or time.time()) - step.started))}"
    return f"{word}, {seconds(step.seconds)}" if step.state in ("ran", "kept") else word


def progress_of(step: StepHistory, now: float | None = None) -> str:
    """Return how far a running step is, in words."""
    if step.state != "running" or not step.progress:
        return ""
    progress = step.progress
    done, total, tokens = (progress.get(name) for name in ("done", "total", "tokens"))
    if not isinstance(done, (int, float)):
        return ""
    elapsed = max(0.0, (now or time.time()) - step.started)
    whole = int(total) if isinstance(total, (int, float)) else None
    return describe(int(done), whole, int(tokens or 0), str(progress.get("note") or ""), elapsed)


def share_of(step: StepHistory) -> float | None:
    """Return which share of a running step is done, if that is known."""
    done, total = step.progress.get("done"), step.progress.get("total")
    if not isinstance(done, (int, float)) or not isinstance(total, (int, float)) or not total:
        return None
    return min(1.0, float(done) / float(total))


def figures_of(metrics: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, object]]:
    """Yield numbers, truth values and short texts of nested metrics with their paths."""
    for name, value in metrics.items():
        path = f"{before}.{name}" if before else str(name)
        if isinstance(value, Mapping):
            yield from figures_of(value, path)
        elif isinstance(value, (int, float, type(None))) or (isinstance(value, str) and len(value) <= 200):
            yield path, value


def curves_of(notes: Mapping[str, Any]) -> list[Curve]:
    """Return the curves of a training that its manifest notes: loss and validation loss, then what else was noted."""
    points = [one for one in notes.get("curve") or () if isinstance(one, Mapping)]
    evaluated = [one for one in notes.get("evaluations") or () if isinstance(one, Mapping)]
    names = dict.fromkeys(name for point in points for name, value in point.items() if _is_number(value))
    losses = {"loss": _points(points, "loss")}
    losses |= {name: _points(evaluated, name) for point in evaluated[:1] for name in point if name.endswith("loss")}
    curves = [_curve("Loss", {name: line for name, line in losses.items() if len(line) > 1})]
    for name in names:
        if name not in ("loss", "step", "epoch"):
            curves.append(_curve(name.replace("_", " "), {name: _points(points, name)}))
    return [curve for curve in curves if curve is not None]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == value


def _points(points: Sequence[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    """Return (training step, value) of what was noted of a name."""
    return [
        (float(point.get("step", place)), float(point[name]))
        for place, point in enumerate(points)
        if _is_number(point.get(name))
    ]


def _curve(title: str, lines: Mapping[str, list[tuple[float, float]]]) -> Curve | None:
    """Return lines as they are drawn; None where there are no two points."""
    every = [point for line in lines.values() for point in line]
    if len(every) < 2:
        return None
    low, high = min(value for _, value in every), max(value for _, value in every)
    first, last = min(step for step, _ in every), max(step for step, _ in every)
    if last <= first:
        return None
    span = high - low or abs(high) or 1.0

    def y_of(value: float) -> float:
        return 8 + (HEIGHT - BOTTOM - 16) * (1 - (value - low) / span)

    series = []
    for name, line in lines.items():
        places = [(LEFT + (WIDTH - LEFT - 8) * (step - first) / (last - first), y_of(value)) for step, value in line]
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        series.append(Series(name.replace("_", " "), path, f"{line[-1][1]:.4g}"))
    ticks = [(y_of(value), f"{value:.3g}") for value in (low, (low + high) / 2, high)]
    return Curve(title, series, ticks if high > low else ticks[:1], (f"{first:,.0f}", f"{last:,.0f}"))
