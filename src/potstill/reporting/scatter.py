"""Geometry of the plots of quality against size, latency and cost: log x, intervals as bars, and the Pareto front.

Labels don't run into each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from potstill.reporting.number_formats import cut, round_size

WIDTH, HEIGHT = 460.0, 320.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 448.0, 14.0, 280.0
"""Frame of the plot; ticks and their texts are outside."""
LETTER, LINE = 6.7, 14.0
"""Mean width of a letter and height of a line at the labels' 12 px."""
DODGE = 11.0
"""Least horizontal distance of two marks: models of one size stand side by side, lest their bars hide each other."""


@dataclass(frozen=True)
class Point:
    """One model to draw."""

    label: str
    size: float
    """What stands on the x axis: bytes, or milliseconds; less is better."""
    value: float
    low: float
    high: float
    reference: bool = False


@dataclass(frozen=True)
class Mark:
    """One drawn model."""

    point: Point
    x: float
    y: float
    y_low: float
    y_high: float
    text: str
    """Label, cut if it is very long."""
    text_x: float = 0.0
    """Where the label starts, or ends if it stands left of the mark."""
    text_y: float = 0.0
    """Middle of the label's line."""
    before: bool = False
    """Whether the label stands left of the mark, and so ends at `text_x`."""
    leader: bool = False
    """Whether the label is so far off that a line must lead to it."""

    @property
    def leader_x(self) -> float:
        """Return where the line that leads to the label ends."""
        return self.text_x + (2 if self.before else -2)


@dataclass(frozen=True)
class Tick:
    """One tick of an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Scatter:
    """All that the template needs to draw the plot."""

    marks: tuple[Mark, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    front: str = ""
    """SVG path along the models that none surpasses; empty where there is but one."""
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = RIGHT
    top: float = TOP
    bottom: float = BOTTOM


@dataclass(frozen=True)
class Box:
    """A rectangle that something covers."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Return the common area."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return across * down if across > 0 and down > 0 else 0.0


def front(points: Sequence[Point]) -> list[Point]:
    """Return the points that none surpasses, from small to large: none has as small a size and as high a value.

    Of equal ones, all are there (V. Pareto; H. T. Kung, F. Luccio and F. P. Preparata, "On finding the maxima of a set
    of vectors", Journal of the ACM 22 (1975), the case of two dimensions).
    """
    best, front = -math.inf, list[Point]()
    for point in sorted(points, key=lambda one: (one.size, -one.value)):
        is_equal = bool(front) and (point.size, point.value) == (front[-1].size, front[-1].value)
        if point.value > best or is_equal:
            front.append(point)
            best = point.value
    return front


def scatter(points: Sequence[Point], tick: Callable[[float], str] = round_size) -> Scatter:
    """Place `points` (at least one, sizes above 0); `tick` writes what stands at the x axis."""
    x_low, x_high = _log_range([point.size for point in points])
    y_step, y_low, y_high = _value_range(points)

    def across(value: float) -> float:
        return LEFT + (math.log10(value) - x_low) / (x_high - x_low) * (RIGHT - LEFT)

    def up(value: float) -> float:
        return BOTTOM - (value - y_low) / (y_high - y_low) * (BOTTOM - TOP)

    marks = [
        Mark(point, across(point.size), up(point.value), up(point.low), up(point.high), cut(point.label, 30))
        for point in points
    ]
    ticks = range(math.ceil(y_low / y_step - 1e-9), math.floor(y_high / y_step + 1e-9) + 1)
    return Scatter(
        tuple(_labelled(_dodged(marks))),
        tuple(Tick(across(value), tick(value)) for value in _log_ticks(x_low, x_high)),
        tuple(Tick(up(number * y_step), f"{100 * number * y_step:.0f}") for number in ticks),
        _steps([(across(one.size), up(one.value)) for one in front(points)]),
    )


def _steps(places: Sequence[tuple[float, float]]) -> str:
    """Return a path along the places that is at each x as high as a model of at most that size."""
    if len(set(places)) < 2:
        return ""
    pieces = [f"M{places[0][0]:.1f} {places[0][1]:.1f}", *(f"H{x:.1f}V{y:.1f}" for x, y in places[1:])]
    return "".join(pieces)


def _log_range(sizes: Sequence[float]) -> tuple[float, float]:
    """Return the decimal logarithms of both ends of the x axis."""
    low, high = math.log10(min(sizes)), math.log10(max(sizes))
    margin = max(0.12 * (high - low), 0.1)
    return low - margin, high + margin


def _log_ticks(low: float, high: float) -> list[float]:
    """Return 1, 2 and 5 times powers of ten within the range; over many decades fewer of them."""
    factors: tuple[int, ...] = (1, 2, 5) if high - low < 2.2 else (1, 3) if high - low < 4 else (1,)
    ticks = [factor * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for factor in factors]
    # the smallest powers are 0 as floats
    return [value for value in ticks if value and low <= math.log10(value) <= high]


def _value_range(points: Sequence[Point]) -> tuple[float, float, float]:
    """Return the tick step and both ends of the y axis, which holds all intervals and is not cut closer than 10 %."""
    low, high = min(point.low for point in points), max(0.1, *(point.high for point in points))
    low = max(0.0, min(low, high - 0.1))
    step = next(step for step in (0.02, 0.05, 0.1, 0.2) if (high - low) / step <= 7 or step == 0.2)
    return step, step * math.floor(low / step), min(1.0, step * math.ceil(high / step))


def _dodged(marks: Sequence[Mark]) -> list[Mark]:
    """Move marks that stand closer than `DODGE` apart, around the middle of their group."""
    order = sorted(range(len(marks)), key=lambda index: (marks[index].x, index))
    shifted = isotonic([marks[index].x - DODGE * place for place, index in enumerate(order)])
    dodged = list(marks)
    for place, index in enumerate(order):
        dodged[index] = replace(marks[index], x=shifted[place] + DODGE * place)
    return dodged


def isotonic(values: Sequence[float]) -> list[float]:
    """Return the non-decreasing sequence nearest to `values` in least squares, by pooling adjacent violators.

    Reference: Ayer, Brunk, Ewing, Reid and Silverman, "An empirical distribution function for sampling with incomplete
    information", Annals of Mathematical Statistics 26 (1955).
    """
    pools: list[tuple[float, int]] = []
    for value in values:
        mean, count = value, 1
        while pools and pools[-1][0] > mean:
            before, members = pools.pop()
            mean, count = (mean * count + before * members) / (count + members), count + members
        pools.append((mean, count))
    return [mean for mean, count in pools for _ in range(count)]


def _labelled(marks: Sequence[Mark]) -> list[Mark]:
    """Give each mark the nearest place for its label that covers least of marks, bars, frame and earlier labels."""
    taken = [box for mark in marks for box in _covered(mark)]
    labelled = list(marks)
    # the marks at the edges of the crowd first: they have free space beside them
    for index in sorted(range(len(marks)), key=lambda index: (-marks[index].x, marks[index].y)):
        best = min(_places(marks[index]), key=lambda place: sum(text_box(place).overlap(box) for box in taken))
        labelled[index] = best
        taken.append(text_box(best))
    return labelled


def _places(mark: Mark) -> Iterator[Mark]:
    """Yield `mark` with its label at places inside the frame, the nearest first."""
    near = [(8.0, 0.0), (6.0, -11.0), (6.0, 11.0)]
    far = [
        (aside, sign * away * LINE) for aside in (18.0, 34.0, 60.0, 90.0) for away in range(1, 14) for sign in (-1, 1)
    ]
    far.sort(key=lambda place: place[0] + abs(place[1]))
    for aside, down in near + far:
        for before in (False, True):
            x, y = mark.x + (-aside if before else aside), mark.y + down
            placed = replace(mark, text_x=x, text_y=y, before=before, leader=aside > 8)
            box = text_box(placed)
            if box.left >= LEFT + 2 and box.right <= RIGHT and box.top >= TOP and box.bottom <= BOTTOM:
                yield placed
    # no place fits: beside the mark, over what is there
    yield replace(mark, text_x=min(mark.x + 8, RIGHT - LETTER * len(mark.text)), text_y=mark.y)


def text_box(mark: Mark) -> Box:
    """Return what the label covers."""
    left = mark.text_x - (LETTER * len(mark.text) if mark.before else 0)
    return Box(left, mark.text_y - LINE / 2, left + LETTER * len(mark.text), mark.text_y + LINE / 2)


def _covered(mark: Mark) -> tuple[Box, Box]:
    """Return what the mark and its bar cover."""
    dot = Box(mark.x - 6, mark.y - 6, mark.x + 6, mark.y + 6)
    return dot, Box(mark.x - 3, mark.y_high, mark.x + 3, mark.y_low)
