"""Decontamination: drop training rows that overlap with evaluation texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from potstill.engine.step import Rows
from potstill.steps.filtering.filter import Objection, keep_rows, names, scan
from potstill.steps.rows.base import RowsStep
from potstill.text.overlap import EvaluationTexts

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context


class Decontaminate(RowsStep):
    """Drops rows that overlap with a test set, so that what is measured was not trained on.

    A row goes if its text equals one of a test set, regardless of case, spacing and punctuation, or shares `ngram`
    words in a row with one (Brown et al. 2020, "Language models are few-shot learners", appendix C). The ledger names
    the test row and the words.

    >>> test = LoadRows([{"id": "t1", "instruction": "Who was the first person to walk on the moon?"}])
    >>> rows = LoadRows([{"instruction": "Answer: who was the first person to walk on the moon"},
    ...                  {"instruction": "Who was the first person on Mars?"}])
    >>> show(Decontaminate(rows, against=test))
    {'instruction': 'Who was the first person on Mars?'}
    """

    _: KW_ONLY
    against: Rows | list[Rows]
    """Test sets."""
    column: str = "instruction"
    """Column that is compared."""
    against_column: str = ""
    """Column of the test sets, if it is another; empty takes `column`."""
    ngram: Annotated[int, Ge(0)] = 13
    """Shared words in a row that count as overlap (13 in the paper); 0 lets only equal texts count."""
    shortest: Annotated[int, Ge(1)] = 8
    """A test text of fewer than `ngram` words is looked for as a whole inside the rows if it has this many; with fewer
    it only counts when a row equals it, since short texts share words by chance (8 in the paper)."""

    version: ClassVar[int] = 3  # symbols that mean something count, and words of scripts without spaces

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are compared."""
        return {"rows": (self.column,), "against": (self.against_column or self.column,)}

    def run(self, rows: Dataset, against: Dataset | list[Dataset], context: Context) -> Dataset:
        """Return the rows that overlap with none of the test sets; the test sets' n-grams are held in memory."""
        tests = against if isinstance(against, (list, tuple)) else [against]
        labels = context.inputs.get("against", [])
        # run outside of a pipeline, the context names no inputs
        if len(labels) != len(tests):
            labels = [f"against[{number}]" for number in range(len(tests))]
        test_texts = EvaluationTexts(self.ngram, self.shortest)
        column = self.against_column or self.column
        for label, test in zip(labels, tests, strict=True):
            for name, row in zip(names(test), scan(test, [column]), strict=True):
                test_texts.add(row[column], f"row {name} of {label}")
        return keep_rows(rows, context, (_objection(test_texts, row[self.column]) for row in scan(rows, [self.column])))


def _objection(test_texts: EvaluationTexts, text: object) -> Objection | None:
    """Return what is wrong with a row's text, with the evidence."""
    overlap = test_texts.overlap(text)
    if overlap is None:
        return None
    shared = f"shares {overlap.words} words in a row with the test set" if overlap.words else "in the test set"
    return Objection(shared, f"{overlap.owner}: {overlap.text}")
