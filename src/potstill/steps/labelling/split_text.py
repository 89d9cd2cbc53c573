"""Split a text into two halves, as views for co-training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput, Problem
from potstill.models.sentence_encoder import texts_in
from potstill.steps.filtering.filter import scan
from potstill.steps.rows.base import RowsStep

if TYPE_CHECKING:
    from datasets import Dataset


class Halves(RowsStep):
    """Adds the first and the second half of each text's words; a single word is in both, and a middle one in the first.

    Co-training wants two views of a row that are independent given its class (Blum and Mitchell 1998, section 2). Two
    halves of one sentence are not: they share its topic and phrase. Nigam and Ghani 2000 ("Analyzing the effectiveness
    and applicability of co-training") found that views made by splitting the words of long texts still help; a short
    text says too little twice.

    >>> show(Halves(LoadRows([{"text": "turn the lamp off"}])))
    {'text': 'turn the lamp off', 'first': 'turn the', 'second': 'lamp off'}
    """

    _: KW_ONLY
    column: str = "text"
    """Where it is."""
    into: tuple[str, str] = ("first", "second")
    """Columns of the halves."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the names."""
        if len({*self.into, self.column}) < 3:
            yield Problem("", "into", f"{self.into} must be two columns other than {self.column!r}")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column of the text."""
        return {"rows": (self.column,)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the two new ones.

        Raises:
            BadInput: one of them is there already.
        """
        present = inputs.get("rows")
        taken = sorted(present & set(self.into)) if present is not None else []
        if taken:
            raise BadInput(
                Problem("", "into", f"the rows have a column {', '.join(taken)} already: choose another name")
            )
        return None if present is None else present | frozenset(self.into)

    def run(self, rows: Dataset) -> Iterator[dict[str, Any]]:
        """Yield the rows with their halves."""
        self.columns({"rows": frozenset(rows.column_names)})
        for row, text in zip(scan(rows), texts_in(scan(rows), self.column), strict=True):
            words = text.split()
            middle = -(-len(words) // 2)
            halves = (" ".join(words[:middle]), " ".join(words[middle:] or words))
            yield {**row, **dict(zip(self.into, halves, strict=True))}
