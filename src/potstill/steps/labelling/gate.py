"""A gate: what follows runs only if a teacher has labelled rows rightly that people labelled before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated

from annotated_types import Interval

from potstill.errors import BadInput, PotstillError, Problem
from potstill.steps.rows.base import RowsStep

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context

SHOWN = 5
"""Pairs of labels that a message names."""


class Gate(RowsStep):
    """Passes all rows on if enough of their labels are right, and fails if not, so that nothing behind it is paid for.

    Make the rows an input of what is to wait: the rows against which data are decontaminated, say. A teacher that is no
    better than the most frequent label fails too, whatever `least` is. The message names the labels that were mixed up.

    >>> rows = LoadRows([{"gold": "bug", "label": "bug"}, {"gold": "billing", "label": "billing"}])
    >>> show(Gate(rows, least=0.9))
    {'gold': 'bug', 'label': 'bug'}
    {'gold': 'billing', 'label': 'billing'}
    """

    _: KW_ONLY
    least: Annotated[float, Interval(gt=0, le=1)] = 0.8
    """Share of the rows whose label must be right."""
    label: str = "label"
    """Column with the label that is looked at."""
    gold: str = "gold"
    """Column with the right one."""

    def check(self) -> Iterable[Problem]:
        """Yield that labels would be held against themselves."""
        if self.label == self.gold:
            yield Problem("", "gold", f"the column {self.gold!r} would be held against itself: name another")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return both columns."""
        return {"rows": (self.label, self.gold)}

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Return the rows as they are.

        Raises:
            BadInput: there are none.
            PotstillError: too few labels are right.
        """
        if not len(rows):
            raise BadInput(Problem("", "rows", "there are no rows to judge by: give some with right labels"))
        pairs = Counter(zip(map(str, rows[self.gold]), map(str, rows[self.label]), strict=True))
        right = sum(count for (gold, label), count in pairs.items() if gold == label)
        context.notes |= {"right": right, "of": len(rows)}
        problem = _problem(pairs, right, len(rows), self.least)
        if problem:
            raise PotstillError(problem)
        context.ledger.keep(len(rows))
        return rows


def _problem(pairs: Mapping[tuple[str, str], int], right: int, rows: int, least: float) -> str:
    """Return why labels are not good enough, or an empty string."""
    golds: Counter[str] = Counter()
    for (gold, _), count in pairs.items():
        golds[gold] += count
    frequent, most = golds.most_common(1)[0]
    # of one label alone nothing can be better than saying it always
    useless = len(golds) > 1 and right <= most
    if right >= least * rows and not useless:
        return ""
    bound = f"always saying {frequent!r} does as well" if right >= least * rows else f"{least:.0%} are wanted"
    wrong = Counter({pair: count for pair, count in pairs.items() if pair[0] != pair[1]})
    mixed = ", ".join(f"{gold!r} called {label!r} ({count})" for (gold, label), count in wrong.most_common(SHOWN))
    return (
        f"the teacher labels {right} of {rows} rows rightly, and {bound}: {mixed}. Say in the task what tells these "
        "labels apart, merge them, correct the rows, or take a stronger teacher. What would follow was not asked for"
    )
