"""A section as the template shows it: every cell is a text already, so that nothing can be missing there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from potstill.engine.context import Ancestor
from potstill.reporting.choice import Choice
from potstill.reporting.confusions import Confusion, confusions_of
from potstill.reporting.forest import Forest, forests_of
from potstill.reporting.gold import authors
from potstill.reporting.kinds import Figure
from potstill.reporting.model_table import Measured, Section
from potstill.reporting.number_formats import count, decimal, listing, percent, short_count, size, times
from potstill.reporting.plots import Plot, plots_of
from potstill.reporting.reliability import Reliability, reliabilities_of
from potstill.reporting.ruling import Ruling
from potstill.reporting.ruling_words import ruling_words
from potstill.reporting.sample_blob import Shown, first_shown
from potstill.reporting.samples import Samples
from potstill.reporting.seeds import seed_notes
from potstill.reporting.slices import Slices, slices_of
from potstill.reporting.speeds import speed_columns
from potstill.reporting.summary import Tile, caveats, p_value, praise, summary, tiles
from potstill.reporting.wrongs import Wrong, wrong_of


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
    key: float | None = None
    """What its column is sorted by; `None` where the figure is not known."""


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
    forests: Sequence[Forest]
    """Differences from the reference, by test set."""
    plots: Sequence[Plot]
    slices: Sequence[Slices]
    """Results by part of the test sets."""
    confusions: Sequence[Confusion]
    """Which classes are taken for which."""
    reliabilities: Sequence[Reliability]
    """Calibration of the models that give probabilities."""
    wrongs: Sequence[Wrong]
    """Mistakes of models whose rows were not kept."""
    first_samples: Sequence[Shown]
    """The rows that are shown without script."""


def view_of(choice: Choice, ruling: Ruling | None, lineage: Sequence[Ancestor], samples: Samples) -> View:
    """Return a section as it is shown, with the `samples` that its models kept."""
    section = choice.section
    named = praise(choice)
    best = choice.chosen.label if choice.chosen and named and len(section.models) > 1 else ""
    columns = [*_set_columns(section), *_speed_columns(section), *(_size_columns() if _is_sized(section) else ())]
    return View(
        title=section.title,
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
        caveats=[*_gold(section, lineage), *caveats(section), *seed_notes(section, lineage, ruling)],
        forests=forests_of(section, ruling),
        plots=plots_of(section),
        slices=slices_of(section, samples),
        confusions=confusions_of(section, samples),
        reliabilities=reliabilities_of(section, samples),
        wrongs=[wrong_of(model, best) for model in section.models if not model.rows],
        first_samples=first_shown(samples),
    )


def _groups(section: Section) -> list[tuple[str, int]]:
    """Return the heads over the columns."""
    width = 1 + len(section.beside)
    timed = len(speed_columns(section))
    speeds = [("Speed", timed)] if timed else []
    sizes = [("Size", len(_size_columns()))] if _is_sized(section) else []
    return [*((name, width) for name in section.sets), *speeds, *sizes]


def _is_sized(section: Section) -> bool:
    """Return whether the size of any model is known; a section whose evaluation counts none has no columns for it."""
    sizes = ("weights_bytes", "parameters", "peak_memory_bytes", "bits_per_weight")
    return any(model.figure(name) is not None for model in section.models for name in sizes)


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
    is_best = model.label == best and (section.kind.peers or not model.reference)
    mark = "best" if is_best else "reference" if model.reference else ""
    called = "differences are from it" if section.kind.peers else "reference"
    notes = (named if is_best else "", called if model.reference and len(section.models) > 1 else "")
    note = ", ".join(filter(None, notes))
    if model.label in choice.unusable:
        verdict = choice.unusable[model.label]
        note = ", ".join(filter(None, (note, "not usable" if verdict.is_shown else "not shown to be usable")))
    sizes = _size_cells(model) if _is_sized(section) else ()
    cells = [*_set_cells(model, choice), *_speed_cells(model, section), *sizes]
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
        small = tuple(filter(None, (main.range(scores), verdict)))
        yield Cell(main.shown(main.of(scores)), small, strong=True, key=main.of(scores))
        for figure in section.beside:
            notes = filter(None, (figure.range(scores), figure.note(scores)))
            yield Cell(figure.shown(figure.of(scores)), tuple(notes), key=figure.of(scores))


def _speed_cells(model: Measured, section: Section) -> Iterator[Cell]:
    for speed in speed_columns(section):
        value, is_latency = speed.of(model), speed.figure.name == "first_token_ms_p50"
        slowest = model.figure("first_token_ms_p95") if is_latency and value is not None else None
        small = () if slowest is None else (f"{decimal(slowest)} for 1 in 20",)
        yield Cell(decimal(value), small, key=value)


def _size_cells(model: Measured) -> Iterator[Cell]:
    zeros = (f"{percent(model.zeros, 0)} zeros",) if model.sparse else ()
    bits, parameters, memory = map(model.figure, ("bits_per_weight", "parameters", "peak_memory_bytes"))
    engine = model.metrics.get("engine")
    # labels that rows hold are measured without who wrote them
    is_there = not isinstance(engine, Mapping) or "labels" not in engine
    yield Cell(size(model.bytes), () if is_there else ("not measured here",), key=model.bytes)
    yield Cell(times(model.size_ratio), key=model.size_ratio)
    yield Cell(decimal(bits), key=bits)
    yield Cell(short_count(parameters), zeros, key=parameters)
    yield Cell(size(memory), key=memory)


def _caption(section: Section) -> str:
    """Return what the table's small figures are, and how large the test sets are."""
    counted = [(name, section.count(name)) for name in section.sets]
    sets = ", ".join(f"{name}: {count(rows)} {section.kind.unit}" for name, rows in counted if rows is not None)
    parts = ["Small figures are 95\u202f% intervals" + (", in percent" if section.main.unit == "share" else ""), sets]
    held = f"“better”, “worse” and “maybe chance” hold a model against {section.reference.label}"
    parts += [held] if len(section.models) > 1 else []
    smaller = " “Smaller” compares bytes of weights with the reference's." if _is_sized(section) else ""
    return "; ".join(filter(None, parts)) + f".{smaller}"


def _gold(section: Section, lineage: Sequence[Ancestor]) -> list[str]:
    """Return whose word the right answers are, where that is a teacher's."""
    if section.kind.peers:
        return []
    writers = {one.set: one.step for model in section.models for one in authors(model.step, list(model.sets), lineage)}
    if not writers:
        return []
    steps = listing(dict.fromkeys(writers.values()))
    return [
        f"The right answers of {listing(writers)} were written by a teacher (step {steps}): figures there say how "
        "often a model agrees with it, not how often it is right. What the teacher itself has there says that it "
        "agrees with its own answers."
    ]
