"""Pairwise LLM judge, asked in both orders (Zheng et al. 2023, "Judging LLM-as-a-Judge", section 3.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import MinLen

from potstill.engine.step import Estimate, Rows
from potstill.errors import Problem
from potstill.prompts import Template
from potstill.steps.generation.answer_parsers import one_of
from potstill.steps.generation.choice import ChoiceStep, tries_for_choice
from potstill.steps.labelling.pairwise_verdict import CHOICES, CRITERION, GIVEN, both_orders, verdict
from potstill.steps.rows.added import added
from potstill.steps.rows.prompt_columns import prompt_columns, prompt_problems
from potstill.teachers.cache.parse_retry import Question, asked, row_name, upper_bound

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource


class JudgePairsWithPrompt(ChoiceStep):
    """Has the teacher compare two columns of each row: `verdict` is `first`, `second` or `tie`.

    Judges favour a place, most of them the first, so each pair is asked in both orders, and a judge that contradicts
    itself counts as a tie; `agreed` is False then. Equal texts are a tie without being asked. Rows without a
    verdict are lost.

    >>> rows = LoadRows([{"instruction": "Name a colour.", "a": "Blue.", "b": "The sea."}])
    >>> judged = JudgePairsWithPrompt(rows, teacher=teacher, first="a", second="b", criterion="It is an answer.")
    >>> show(Select(judged, ["a", "b", "verdict"]))
    {'a': 'Blue.', 'b': 'The sea.', 'verdict': 'tie'}
    """

    rows: Rows
    """Rows with both texts."""
    _: KW_ONLY
    first: Annotated[str, MinLen(1)]
    """Column of the one text."""
    second: Annotated[str, MinLen(1)]
    """Column of the other."""
    criterion: str = CRITERION
    """What makes one better."""
    prompt: Template = "judge_pair.jinja"
    """Gets `first`, `second` and `criterion`, and the row's columns; asks for A, B or tie."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher, the template or the columns."""
        yield from super().check()
        yield from prompt_problems(self.prompt, wanted=("first", "second"))
        if self.first == self.second:
            yield Problem("", "second", f"names the same column as first, {self.first!r}: nothing would be compared")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return both columns, and what else the template uses."""
        return {"rows": (self.first, self.second, *prompt_columns(self.prompt, GIVEN))}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already.
        """
        rows = inputs.get("rows")
        return added(self, rows, ("verdict", "agreed"), given={*GIVEN} - {self.first, self.second})

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count two questions a row."""
        return upper_bound(rows.get("rows"), 2, self.max_tokens)

    def run(self, rows: Dataset, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows with their verdicts, in order."""
        tries = tries_for_choice(self, CHOICES, teacher)
        answered = asked(teacher, self._questions(rows), one_of(CHOICES), tries, context, 2 * len(rows))
        for row, answers in answered:
            context.ledger.keep()
            result = verdict([answer.value for answer in answers])
            yield {**row, "verdict": result.better, "agreed": result.agreed}

    def _questions(self, rows: Dataset) -> Iterator[Question[dict[str, Any]]]:
        """Yield each pair in both orders."""
        for number, row in enumerate(rows):
            chats = both_orders(self.prompt, row, row[self.first], row[self.second], self.criterion)
            yield Question(row, row_name(row, number), chats)
