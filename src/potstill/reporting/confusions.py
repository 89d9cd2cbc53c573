"""Which classes a model takes for which, as a table of counts: all of few classes, of many those that it mixes up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from potstill.reporting.kinds import CLASSES
from potstill.reporting.model_table import Section
from potstill.reporting.samples import Sample, Samples

MOST = 10
"""Classes in a table; of more, those with the most errors among each other."""


@dataclass(frozen=True)
class Count:
    """How often one class is taken for another."""

    count: int
    """Rows."""
    weight: float
    """Share of the class's rows, from 0 to 1, by which the cell is shaded."""
    is_right: bool
    """Whether the class is taken for itself."""


@dataclass(frozen=True)
class Confusion:
    """The confusions of one model on one test set."""

    model: str
    """Label of the model."""
    set: str
    """Name of the test set."""
    classes: tuple[str, ...]
    """The classes of lines and columns, in one order."""
    lines: tuple[tuple[Count, ...], ...]
    """A line for each right class: how often it is taken for each class, and last for one that is not in the table."""
    left_out: int
    """Classes that are not in the table."""


def confusions_of(section: Section, samples: Samples) -> list[Confusion]:
    """Return the confusions of all models of a section of classes; nothing of a model that makes none."""
    if section.kind is not CLASSES:
        return []
    tables = []
    for name in section.sets:
        rows = [row for row in samples.rows if row.set == name]
        for place, model in enumerate(samples.models):
            table = _confusion(model, name, rows, place)
            if table is not None:
                tables.append(table)
    return tables


def _confusion(model: str, name: str, rows: Sequence[Sample], place: int) -> Confusion | None:
    """Return the confusions of one model on one test set."""
    pairs = Counter((row.gold, own.answer) for row in rows if (own := row.answers[place]) is not None)
    mistaken = {pair: count for pair, count in pairs.items() if pair[0] != pair[1]}
    if not mistaken:
        return None
    every = sorted({label for pair in pairs for label in pair})
    classes = every if len(every) <= MOST else _most_mixed(mistaken)
    totals = Counter({label: sum(count for (gold, _), count in pairs.items() if gold == label) for label in classes})
    lines = []
    for gold in classes:
        inside = [pairs[gold, answer] for answer in classes]
        counts = [*inside, totals[gold] - sum(inside)] if len(classes) < len(every) else inside
        whole, right = max(1, totals[gold]), classes.index(gold)
        lines.append(tuple(Count(count, count / whole, number == right) for number, count in enumerate(counts)))
    return Confusion(model, name, tuple(classes), tuple(lines), len(every) - len(classes))


def _most_mixed(mistaken: dict[tuple[str, str], int]) -> list[str]:
    """Return the classes of the most frequent mistakes, those that are taken for each other side by side."""
    classes: dict[str, None] = {}
    for pair, _ in sorted(mistaken.items(), key=lambda item: (-item[1], item[0])):
        if len(classes.keys() | set(pair)) > MOST:
            break
        classes |= dict.fromkeys(pair)
    return list(classes)
