"""Score rows by a teacher and sort them, best first."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Interval, MinLen

from potstill.engine.step import Estimate, Rows
from potstill.errors import PotstillError, Problem
from potstill.prompts import Template, rendered
from potstill.steps.generation.answer_parsers import score
from potstill.steps.generation.choice import ChoiceStep, tries_for_choice
from potstill.steps.rows.added import added
from potstill.steps.rows.prompt_columns import prompt_columns, prompt_problems
from potstill.teachers.cache.parse_retry import Question, asked, row_name, upper_bound

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource

GIVEN = ("criterion", "low", "high")
"""Template variables that the step gives."""


class RankWithPrompt(ChoiceStep):
    """Has the teacher grade each row against a criterion, sorts them by `score`, and keeps the best `top`.

    Decoding is constrained to whole numbers where the teacher can; otherwise one number, also a fraction, is parsed
    from the answer. Rows with equal scores stay in their order. Only the scores are held in memory.

    >>> rows = LoadRows([{"id": "a", "instruction": "open the garage"}, {"id": "b", "instruction": "close it"}])
    >>> best = RankWithPrompt(rows, teacher=teacher, criterion="It names a part of the house.", top=0.5)
    >>> show(Select(best, ["id"]))
    {'id': 'a'}
    """

    rows: Rows
    """What is graded."""
    _: KW_ONLY
    criterion: str = ""
    """What a good row meets."""
    prompt: Template = "rank.jinja"
    """Gets `criterion`, `low`, `high` and the row's columns; asks for a number."""
    low: int = 1
    """Worst score."""
    high: int = 10
    """Best score."""
    top: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Share of the graded rows that stays, rounded up; the others go to the ledger."""
    column: Annotated[str, MinLen(1)] = "score"
    """Column of the scores."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher, the template or the scale."""
        yield from super().check()
        yield from prompt_problems(self.prompt, wanted=("criterion",) if self.criterion else ())
        if self.prompt == "rank.jinja" and not self.criterion:
            yield Problem("", "criterion", "is empty: say what a good row meets, or give a prompt that does")
        if not self.low < self.high:
            yield Problem("", "high", f"must exceed low={self.low}, got {self.high}")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the variables of the prompt template."""
        return {"rows": prompt_columns(self.prompt, GIVEN)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already.
        """
        rows = inputs.get("rows")
        return added(self, rows, (self.column,), given=GIVEN)

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count a question a row."""
        count = rows.get("rows")
        asked_for = upper_bound(count, 1, self.max_tokens)
        left = None if count is None else share(self.top, count)
        return Estimate(left, asked_for.calls, asked_for.tokens)

    def run(self, rows: Dataset, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the best rows, best first.

        Raises:
            PotstillError: none was graded.
        """
        choices = tuple(str(value) for value in range(self.low, self.high + 1))
        tries = tries_for_choice(self, choices, teacher)
        answered = asked(teacher, self._questions(rows), score(self.low, self.high), tries, context, len(rows))
        graded = [(answer.value, number) for number, (answer,) in answered]
        if len(rows) and not graded:
            raise PotstillError(f"no row of {len(rows)} got a score: look at what was lost")
        # equal scores stay in the order of the rows
        graded.sort(key=lambda pair: (-pair[0], pair[1]))
        stay = share(self.top, len(graded))
        for place_, (value, number) in enumerate(graded):
            row = rows[number]
            if place_ < stay:
                context.ledger.keep()
                yield {**row, self.column: value}
            else:
                reason = f"not in the top {self.top:g}"
                context.ledger.lose(row_name(row, number), "filtered", reason, f"score {value:g}")

    def _questions(self, rows: Dataset) -> Iterator[Question[int]]:
        """Yield each row's prompt."""
        variables = {"criterion": self.criterion, "low": self.low, "high": self.high}
        for number, row in enumerate(rows):
            yield Question(number, row_name(row, number), (rendered(self.prompt, {**row, **variables}),))


def share(part: float, count: int) -> int:
    """Return how many of `count` a `part` is, rounded up.

    >>> share(0.1, 30), share(0.5, 3)
    (3, 2)
    """
    return math.ceil(round(part * count, 9))  # 0.1 * 30 is a little more than 3
