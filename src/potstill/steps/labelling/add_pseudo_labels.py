"""Combine labelled rows and confident pseudo-labels into one training set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.engine.encoding import digest
from potstill.engine.step import Estimate, Rows, Step
from potstill.errors import Problem
from potstill.steps.filtering.filter import scan

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context

SOFT = "probabilities"
"""Column of a labeller's probabilities."""
TWO = "labelled differently"
"""Why a row goes that two labellers don't agree on."""


class AddPseudoLabels(Step):
    """Adds to labelled rows those that one or several classifiers labelled; none of them twice.

    A row that is labelled already keeps its label. One that several add counts once, and not at all where they name
    different classes. Labels become texts, as a classifier names them.

    >>> rows = LoadRows([{"text": "play jazz", "label": "music"}])
    >>> first = LoadRows([{"text": "dim it", "label": "light"}, {"text": "louder", "label": "music"}])
    >>> second = LoadRows([{"text": "louder", "label": "light"}, {"text": "play jazz", "label": "light"}])
    >>> show(AddPseudoLabels(rows, [first, second]))
    {'text': 'dim it', 'label': 'light'}
    {'text': 'play jazz', 'label': 'music'}
    """

    rows: Rows
    """Labelled rows; all of them stay."""
    picks: list[Rows] | tuple[Rows, ...]
    """Rows with a labeller's `label`, by labeller."""
    _: KW_ONLY
    keep: tuple[str, ...] | list[str] = ("text",)
    """Columns that stay beside the label; rows that agree there are the same row."""
    label: str = "label"
    """Column of the labelled rows' label, and what the column is called in the result."""
    soft: bool = False
    """Whether the labeller's `probabilities` stay too, for a student that learns those; with one labeller only."""

    makes: ClassVar[str] = "rows"

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the parameters."""
        if not self.keep:
            yield Problem("", "keep", "names no column: give at least that of the text")
        if self.soft and len(self.picks) > 1:
            yield Problem(
                "",
                "soft",
                f"there are {len(self.picks)} labellers, so whose probabilities? Average them "
                "first with AverageProbabilities",
            )

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are read."""
        return {"rows": (*self.keep, self.label), "picks": (*self.keep, "label", *([SOFT] if self.soft else []))}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns that stay."""
        return frozenset((*self.keep, self.label, *([SOFT] if self.soft else [])))

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume that all picks are added."""
        sources = (rows.get("rows"), rows.get("picks"))
        return Estimate(rows=None if None in sources else sum(count or 0 for count in sources))

    def run(self, rows: Dataset, picks: Sequence[Dataset], context: Context) -> Iterator[dict[str, Any]]:
        """Yield the picks that are added, then the labelled rows; some 100 bytes a row are held in memory."""
        seen = {self._key(row) for row in scan(rows, self.keep)}
        label_of: dict[str, str | None] = {}
        # two passes: a row's labels are compared over all labellers before any is accepted
        for row in self._picked(picks):
            label = str(row["label"])
            label_of[self._key(row)] = label if label_of.get(self._key(row), label) == label else None
        for number, row in enumerate(self._picked(picks)):
            key = self._key(row)
            if key in seen or label_of[key] is None:
                reason = "labelled already" if key in seen else TWO
                context.ledger.lose(str(number), "filtered", reason, f"{row[self.keep[0]]!r:.80}")
                continue
            seen.add(key)
            context.ledger.keep()
            yield self._made(row, label_of[key], row[SOFT] if self.soft else None)
        context.notes["pseudo_labelled"] = context.ledger.kept
        for row in scan(rows, [*self.keep, self.label]):
            context.ledger.keep()
            yield self._made(row, None if row[self.label] is None else str(row[self.label]), None)

    def _picked(self, picks: Sequence[Dataset]) -> Iterator[dict[str, Any]]:
        """Yield the rows of all labellers."""
        for part in picks:
            yield from scan(part, [*self.keep, "label", *([SOFT] if self.soft else [])])

    def _key(self, row: Mapping[str, Any]) -> str:
        """Return a digest that identifies a row."""
        return digest(["row", [row[name] for name in self.keep]])

    def _made(self, row: Mapping[str, Any], label: str | None, shares: object) -> dict[str, Any]:
        """Return a row of the result."""
        return {**{name: row[name] for name in self.keep}, self.label: label, **({SOFT: shares} if self.soft else {})}
