"""How models do on parts of a test set: on a class, a source, a value in the answer, short and long questions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from potstill.metrics.answers import canonical
from potstill.metrics.classification import ClassScore, class_scores
from potstill.metrics.uncertainty.interval import Interval
from potstill.metrics.uncertainty.shares import share_interval
from potstill.reporting.kinds import CLASSES
from potstill.reporting.model_table import Section
from potstill.reporting.number_formats import NONE, interval, percent
from potstill.reporting.samples import Sample, Samples

FEWEST = 2
"""Parts that a set must fall into; one alone is the set."""
MOST = 60
"""Parts that a set may fall into, but for classes: more are no parts but single rows."""
SMALLEST = 2.0
"""Mean rows of a part from which on it says anything."""
TELLING = 10
"""Rows of a part from which on a model can be marked as worse there: of two rows, any interval says little."""
LENGTHS = ("shortest third", "middle third", "longest third")
"""Parts by the length of the question."""


@dataclass(frozen=True)
class SliceCell:
    """One model on one part."""

    text: str
    """The share that is right, as text."""
    note: str
    """Interval of the share that is right."""
    key: float
    """What the column is sorted by."""
    is_low: bool
    """Whether the whole interval lies below what the model has on all rows."""


@dataclass(frozen=True)
class SliceLine:
    """One part of a test set."""

    name: str
    """Name of the part."""
    rows: int
    """How many rows it has."""
    cells: tuple[SliceCell, ...]
    """One for each model."""


@dataclass(frozen=True)
class Slices:
    """The parts of one test set in one respect."""

    title: str
    """E.g. `test, by class`."""
    figure: str
    """What the cells show."""
    models: tuple[str, ...]
    """Labels of the models."""
    lines: tuple[SliceLine, ...]
    """The parts, the one in which models are worst first."""


Part = Callable[[Sample], str | None]
"""Which part a row belongs to; `None` if none."""


def slices_of(section: Section, samples: Samples) -> list[Slices]:
    """Return the parts of all test sets in which anything can be seen."""
    tables = []
    for name in section.sets:
        rows = [row for row in samples.rows if row.set == name]
        if not any(own is not None and own.right is not None for row in rows for own in row.answers):
            continue
        for respect, part in _parts(rows, section):
            parts: dict[str, list[Sample]] = {}
            for row in rows:
                where = part(row)
                if where is not None:
                    parts.setdefault(where, []).append(row)
            most = len(rows) if respect == "class" else MOST
            if FEWEST <= len(parts) <= most and sum(map(len, parts.values())) / len(parts) >= SMALLEST:
                tables.append(_slices(f"{name}, by {respect}", parts, rows, samples.models, respect == "class"))
    return tables


def _parts(rows: Sequence[Sample], section: Section) -> Iterator[tuple[str, Part]]:
    """Yield the respects in which rows fall into parts."""
    if section.kind is CLASSES:
        yield "class", lambda row: row.gold
    yield "source", lambda row: row.cluster
    values = {row.gold: json.loads(canonical(row.gold) or "null") for row in rows}
    objects = [value for value in values.values() if isinstance(value, dict)]
    if objects and len(objects) == len(values):
        for field in sorted({str(key) for one in objects for key in one}):
            yield f"“{field}” of the right answer", _field(values, field)
    lengths = sorted(len(row.input) for row in rows)
    low, high = lengths[len(rows) // 3], lengths[2 * len(rows) // 3]
    if low < high:
        yield "length of the question", lambda row: LENGTHS[(len(row.input) > low) + (len(row.input) > high)]


def _field(values: dict[str, object], field: str) -> Part:
    """Return the part by one value of the right answer."""

    def part(row: Sample) -> str | None:
        value = values[row.gold]
        inner = value.get(field) if isinstance(value, dict) else None
        return "(nothing)" if inner is None else str(inner)

    return part


def _slices(
    title: str, parts: dict[str, list[Sample]], rows: Sequence[Sample], models: Sequence[str], by_class: bool
) -> Slices:
    """Return the table of the parts."""
    places = range(len(models))
    whole = [_share(rows, place) for place in places]
    scores = [_class_scores(rows, place) if by_class else {} for place in places]
    lines = []
    for name, own in parts.items():
        shares = [_share(own, place) for place in places]
        cells = tuple(_cell(shares[place], whole[place], scores[place].get(name), len(own)) for place in places)
        lines.append(SliceLine(name, len(own), cells))
    lines.sort(key=lambda line: (sum(cell.key for cell in line.cells), line.name))
    figure = "F1, with the interval of the recall" if by_class else "share that is right, with its interval"
    return Slices(title, figure, tuple(models), tuple(lines))


def _share(rows: Sequence[Sample], place: int) -> Interval | None:
    """Return the share that a model has right, of rows of several sources by these; `None` where it was not asked."""
    answers = [own for row in rows if (own := row.answers[place]) is not None and own.right is not None]
    clusters = [number if own.cluster is None else own.cluster for number, own in enumerate(answers)]
    # a part that is one source is not a sample of sources, but of its rows
    known = len(set(clusters)) > 1 and any(own.cluster is not None for own in answers)
    return share_interval([own.right is True for own in answers], clusters if known else None) if answers else None


def _class_scores(rows: Sequence[Sample], place: int) -> dict[str, ClassScore]:
    """Return a model's scores by class."""
    pairs = [(row.gold, own.answer) for row in rows if (own := row.answers[place]) is not None]
    scores = class_scores([gold for gold, _ in pairs], [answer for _, answer in pairs]) if pairs else []
    return {score.label: score for score in scores}


def _cell(share: Interval | None, whole: Interval | None, score: ClassScore | None, rows: int) -> SliceCell:
    """Return one model on one part."""
    if share is None or whole is None:
        return SliceCell(NONE, "", -1.0, False)
    value = share.value if score is None else score.f1
    return SliceCell(
        percent(value), interval(share.low, share.high), value, rows >= TELLING and share.high < whole.value
    )
