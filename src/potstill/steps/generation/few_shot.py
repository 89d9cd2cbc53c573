"""Rows asked after worked examples (Brown et al. 2020, "Language Models are Few-Shot Learners", section 2)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput, Problem
from potstill.prompts import rendered
from potstill.steps.generation.in_context import FewShotStep
from potstill.steps.rows.prompt_columns import item_fields, prompt_columns
from potstill.teachers.cache.parse_retry import Question, row_name

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context

GIVEN = ("examples", "task")
"""Template variables that the step gives."""


class FewShotPrompt(FewShotStep):
    """Asks each row after `k` examples, drawn by the seed from other rows.

    >>> shown = LoadRows([{"instruction": "2 + 2", "output": "4"}, {"instruction": "1 + 5", "output": "6"}])
    >>> rows = LoadRows([{"id": "a", "instruction": "3 + 4"}])
    >>> answers = FewShotPrompt(rows, shown, teacher=teacher, k=2, max_tokens=4, keep_cut=True)
    >>> show(Select(answers, ["id", "instruction"]))
    {'id': 'a', 'instruction': '3 + 4'}
    """

    _: KW_ONLY
    per_row: bool = False
    """Whether each row gets examples of its own; the same ones for all are read only once by an engine that caches
    prefixes."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return what the template uses of the rows and of the examples."""
        return {"rows": prompt_columns(self.prompt, GIVEN), "examples": item_fields(self.prompt, "examples")}

    def given(self) -> tuple[str, ...]:
        """Return what the step shows beside the row."""
        return GIVEN

    def run(self, rows: Dataset, examples: Dataset, teacher: Any, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows with their answers, in order.

        Raises:
            BadInput: there are fewer examples than are to be shown.
        """
        enough(examples, self.k)
        yield from self.answered(teacher, self._questions(rows, examples), len(rows), context)

    def _questions(self, rows: Dataset, examples: Dataset) -> Iterator[Question[dict[str, Any]]]:
        """Yield each row's prompt."""
        shown = self._draw(examples, "all")
        for number, row in enumerate(rows):
            name = row_name(row, number)
            given = self._draw(examples, name) if self.per_row else shown
            chat = rendered(self.prompt, {**row, "examples": given, "task": self.task})
            yield Question(row, name, (chat,))

    def _draw(self, examples: Dataset, name: str) -> list[dict[str, Any]]:
        """Return `k` examples, in random order, for the row `name`."""
        numbers = random.Random(f"{self.seed}/{name}").sample(range(len(examples)), self.k)
        return [examples[number] for number in numbers]


def enough(examples: Dataset, k: int) -> None:
    """Check that there are `k` examples.

    Raises:
        BadInput: there are fewer.
    """
    if len(examples) < k:
        raise BadInput(Problem("", "k", f"{k} examples are to be shown, but there are {len(examples)}: lower k"))
