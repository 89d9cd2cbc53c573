"""A section as the template shows it: every cell is a text already, so that nothing can be missing there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.engine.context import Ancestor
from potstill.reporting.choice import Choice
from potstill.reporting.gains import gain_note, gain_of
from potstill.reporting.gold import authors
from potstill.reporting.kinds import Figure, number
from potstill.reporting.model_table import Measured, Section
from potstill.reporting.number_formats import NONE, count, decimal, percent, short_count, size, times
from potstill.reporting.ruling import Ruling
from potstill.reporting.ruling_words import ruling_words
from potstill.reporting.scatter import Point, Scatter, scatter
from potstill.reporting.speeds import speed_columns
from potstill.reporting.summary import Tile, caveats, listing, p_value, praise, summary, tiles


@dataclass(frozen=True)
class Column:
    """One column of a section's table."""

    title: str
    """Its head."""
    name: str
    """What a narrow screen calls it, where there is no head."""
    first: bool = False
    """Whether a group of columns begins with it."""


@dataclass(frozen=True)
class Cell:
    """One figure as text."""

    text: str
    small: tuple[str, ...] = ()
    """What stands below it in small letters."""
    strong: bool = False


@dataclass(frozen=True)
class Line:
    """One model in a section's table."""

    label: str
    note: str
    """What it is, in small letters: the reference, or why it was chosen."""
    mark: str
    """`best`, `reference` or nothing."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Mistake:
    """One wrong answer."""

    set: str
    asked: str
    expected: str
    answered: str
    is_cut: bool


@dataclass(frozen=True)
class Mixed:
    """Two classes that a model mixes up."""

    set: str
    label: str
    predicted: str
    count: str


@dataclass(frozen=True)
class Wrong:
    """What one model got wrong."""

    label: str
    is_open: bool
    mistakes: tuple[Mistake, ...]
    mixed: tuple[Mixed, ...]

    @property
    def is_any(self) -> bool:
        """Return whether there is anything to show."""
        return bool(self.mistakes or self.mixed)


@dataclass(frozen=True)
class Plot:
    """The quality-against-size plot of one test set."""

    set: str
    drawing: Scatter
    unplaced: tuple[str, ...]
    """Models without a known size."""


@dataclass(frozen=True)
class View:
    """One section, ready to be written."""

    title: str
    figure: str
    """What the models are compared by, within a sentence."""
    ruling: Sequence[str]
    """What to deploy if so much may be lost, sentence by sentence; nothing for one model alone."""
    summary: Sequence[str]
    best: str
    """Label of the chosen model, or empty where none is worth it."""
    praise: str
    """What that one is called."""
    tiles: Sequence[Tile]
    groups: Sequence[tuple[str, int]]
    """Heads over columns, with how many each spans."""
    columns: Sequence[Column]
    lines: Sequence[Line]
    caption: str
    caveats: Sequence[str]
    plots: Sequence[Plot]
    wrongs: Sequence[Wrong]


def view_of(choice: Choice, ruling: Ruling | None, lineage: Sequence[Ancestor]) -> View:
    """Return a section as it is shown."""
    section = choice.section
    named = praise(choice)
    best = choice.chosen.label if choice.chosen and named else ""
    columns = [*_set_columns(section), *_speed_columns(section), *_size_columns()]
    return View(
        title=section.kind.title,
        figure=section.main.in_text,
        ruling=ruling_words(ruling, section, lineage) if ruling else [],
        summary=summary(choice),
        best=best,
        praise=named,
        tiles=tiles(choice),
        groups=_groups(section),
        columns=columns,
        lines=[_line(model, choice, best, named) for model in section.models],
        caption=_caption(section),
        caveats=[*_gold(section, lineage), *caveats(section)],
        plots=[plot for plot in (_plot(name, section) for name in section.sets) if plot],
        wrongs=[_wrong(model, best) for model in section.models],
    )


def _groups(section: Section) -> list[tuple[str, int]]:
    """Return the heads over the columns."""
    width = 1 + len(section.beside)
    speeds = [("Speed", len(speed_columns(section)))] if section.kind.speeds else []
    return [*((name, width) for name in section.sets), *speeds, ("Size", 5)]


def _set_columns(section: Section) -> Iterator[Column]:
    """Yield the columns of the test sets."""
    for name in section.sets:
        yield Column(_head(section.main), f"{section.main.title}, {name}", first=True)
        yield from (Column(_head(figure), f"{figure.title}, {name}") for figure in section.beside)


def _head(figure: Figure) -> str:
    """Return the head of a figure's column, with the way that is better where it is not the usual one."""
    return figure.title if figure.rises else f"{figure.title} (lower is better)"


def _speed_columns(section: Section) -> list[Column]:
    return [Column(speed.title, speed.title, first=place == 0) for place, speed in enumerate(speed_columns(section))]


def _size_columns() -> list[Column]:
    titles = ("Weights", "Smaller", "Bits a weight", "Parameters", "Peak memory")
    return [Column(title, title, first=place == 0) for place, title in enumerate(titles)]


def _line(model: Measured, choice: Choice, best: str, named: str) -> Line:
    """Return a model's line."""
    section = choice.section
    mark = "reference" if model.reference else "best" if model.label == best else ""
    note = {"reference": "reference", "best": named, "": ""}[mark]
    if model.label in choice.unusable:
        verdict = choice.unusable[model.label]
        note = ", ".join(filter(None, (note, "not usable" if verdict.is_shown else "not shown to be usable")))
    cells = [*_set_cells(model, choice), *_speed_cells(model, section), *_size_cells(model)]
    return Line(model.label, note, mark, tuple(cells))


def _set_cells(model: Measured, choice: Choice) -> Iterator[Cell]:
    """Yield the figures of a model on all test sets, each with its interval, and what a test says of the main one."""
    section = choice.section
    differences = {one.set: one for one in choice.of(model.label)}
    for name in section.sets:
        scores, main = model.sets.get(name), section.main
        difference, verdict = differences.get(name), ""
        if difference is not None:
            verdict = f"{'better' if difference.gain > 0 else 'worse'}, {p_value(difference)}"
            verdict = verdict if difference.is_sure else "maybe chance"
        gain = None if model.reference else gain_of(model, section.reference, main, name, 0.0)
        small = tuple(filter(None, (main.range(scores), verdict, gain_note(gain, main))))
        yield Cell(main.shown(main.of(scores)), small, strong=True)
        for figure in section.beside:
            notes = filter(None, (figure.range(scores), figure.note(scores)))
            yield Cell(figure.shown(figure.of(scores)), tuple(notes))


def _speed_cells(model: Measured, section: Section) -> Iterator[Cell]:
    for speed in speed_columns(section):
        value, is_latency = speed.of(model), speed.figure.name == "first_token_ms_p50"
        slowest = model.figure("first_token_ms_p95") if is_latency and value is not None else None
        small = () if slowest is None else (f"{decimal(slowest)} for 1 in 20",)
        yield Cell(decimal(value), small)


def _size_cells(model: Measured) -> Iterator[Cell]:
    zeros = (f"{percent(model.zeros, 0)} zeros",) if model.sparse else ()
    yield Cell(size(model.bytes))
    yield Cell(times(model.size_ratio))
    yield Cell(decimal(model.figure("bits_per_weight")))
    yield Cell(short_count(model.figure("parameters")), zeros)
    yield Cell(size(model.figure("peak_memory_bytes")))


def _caption(section: Section) -> str:
    """Return what the table's small figures are, and how large the test sets are."""
    counted = [(name, section.count(name)) for name in section.sets]
    sets = ", ".join(f"{name}: {count(rows)} {section.kind.unit}" for name, rows in counted if rows is not None)
    parts = ["Small figures are 95\u202f% intervals" + (", in percent" if section.main.unit == "share" else ""), sets]
    held = f"“better”, “worse” and “maybe chance” hold a model against {section.reference.label}"
    signed = f"figures with a sign are the difference from {section.reference.label}, with its interval"
    parts += [held, signed] if len(section.models) > 1 else []
    return "; ".join(filter(None, parts)) + ". “Smaller” compares bytes of weights with the reference's."


def _gold(section: Section, lineage: Sequence[Ancestor]) -> list[str]:
    """Return whose word the right answers are, where that is a teacher's."""
    writers = {one.set: one.step for model in section.models for one in authors(model.step, list(model.sets), lineage)}
    if not writers:
        return []
    steps = listing(dict.fromkeys(writers.values()))
    return [
        f"The right answers of {listing(writers)} were written by a teacher (step {steps}): figures there say how "
        "often a model agrees with it, not how often it is right. What the teacher itself has there says that it "
        "agrees with its own answers."
    ]


def _plot(name: str, section: Section) -> Plot | None:
    """Return the plot of one test set; none if no model there has a known size, or the figure is no share."""
    figure = section.main
    there = [model for model in section.models if model.value(figure, name) is not None]
    sized = [model for model in there if model.bytes]
    if figure.unit != "share" or not sized:
        return None
    points = []
    for model in sized:
        value, scores = model.value(figure, name) or 0.0, model.sets.get(name)
        low, high = figure.bounds(scores) or (value, value)
        points.append(Point(model.label, model.bytes or 0.0, value, low, high, model.reference))
    return Plot(name, scatter(points), tuple(model.label for model in there if model not in sized))


def _wrong(model: Measured, best: str) -> Wrong:
    """Return what a model got wrong, as far as its step kept it."""
    listed = [(name, scores.get("mixed_up")) for name, scores in model.sets.items()]
    mixed = tuple(
        Mixed(name, _text(pair, "label"), _text(pair, "predicted"), count(_whole(pair)))
        for name, pairs in listed
        for pair in _mappings(pairs)
    )
    mistakes = tuple(
        Mistake(
            _text(example, "set"),
            _text(example, "instruction"),
            _text(example, "expected"),
            _text(example, "answer"),
            example.get("finish_reason") == "length",
        )
        for example in _mappings(model.metrics.get("examples"))
    )
    return Wrong(model.label, model.label == best, mistakes, mixed)


def _mappings(value: object) -> Iterable[Mapping[str, Any]]:
    """Return the dicts in a list; none of anything else."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _text(values: Mapping[str, Any], name: str) -> str:
    """Return a value as text."""
    value = values.get(name)
    return NONE if value is None else str(value)


def _whole(pair: Mapping[str, Any]) -> int | None:
    """Return how often a pair is mixed up: rows or words, by what was classified."""
    counts = [number(pair, unit) for unit in ("rows", "words")]
    return next((int(value) for value in counts if value is not None), None)
