"""Apply one instruction to a column: translate, summarise, rewrite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import MinLen

from potstill.engine.step import Estimate, Rows
from potstill.errors import Problem
from potstill.prompts import Template, rendered
from potstill.steps.generation.answer_column import columns_with_answer, rows_with_answers
from potstill.steps.generation.base import GenerationStep
from potstill.steps.rows.prompt_columns import prompt_columns, prompt_problems
from potstill.teachers.cache.parse_retry import Question, row_name, upper_bound

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource

GIVEN = ("instruction", "text")
"""Template variables that the step gives; a column `instruction` is hidden by the step's own."""


class ProcessWithPrompt(GenerationStep):
    """Has the teacher do one thing with a text of every row.

    >>> rows = LoadRows([{"id": "a", "review": "Too loud, but it makes good coffee."}])
    >>> short = ProcessWithPrompt(
    ...     rows, teacher=teacher, instruction="Say it in three words.", column="review", max_tokens=8, keep_cut=True
    ... )
    >>> show(Select(short, ["id", "review"]))
    {'id': 'a', 'review': 'Too loud, but it makes good coffee.'}
    """

    rows: Rows
    """What is processed."""
    _: KW_ONLY
    instruction: Annotated[str, MinLen(1)]
    """What is to be done with each text."""
    column: Annotated[str, MinLen(1)]
    """Where the text is."""
    prompt: Template = "process.jinja"
    """Gets `instruction` and `text`, and the row's columns, of which `instruction` is hidden by the step's own."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher or the template."""
        yield from super().check()
        yield from prompt_problems(self.prompt, wanted=GIVEN)

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column that is processed, and what else the template uses."""
        return {"rows": (self.column, *prompt_columns(self.prompt, GIVEN))}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already, or a column `text` that the step's own hides.
        """
        hidden = () if self.column == "text" else ("text",)
        return columns_with_answer(self, inputs.get("rows"), given=hidden)

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume an answer of full length to each row: an upper bound."""
        return upper_bound(rows.get("rows"), 1, self.max_tokens)

    def run(self, rows: Dataset, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows with their results, in order."""
        yield from rows_with_answers(self, teacher, self._questions(rows), len(rows), context)

    def _questions(self, rows: Dataset) -> Iterator[Question[dict[str, Any]]]:
        """Yield each row's prompt."""
        for number, row in enumerate(rows):
            variables = {**row, "instruction": self.instruction, "text": row[self.column]}
            yield Question(row, row_name(row, number), (rendered(self.prompt, variables),))
