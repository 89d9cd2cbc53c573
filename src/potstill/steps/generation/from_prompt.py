"""Generate rows from one instruction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, MinLen

from potstill.engine.step import Estimate
from potstill.errors import Problem
from potstill.prompts import Template, render
from potstill.steps.generation.answer_column import rows_with_answers
from potstill.steps.generation.base import GenerationStep
from potstill.steps.rows.prompt_columns import prompt_problems
from potstill.teachers.cache.parse_retry import Question, upper_bound

if TYPE_CHECKING:
    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource


class DataFromPrompt(GenerationStep):
    """Has the teacher answer one prompt `n` times: `id`, `output`, `finish_reason`.

    Each answer is drawn with another seed, so the rows for a smaller `n` are the first ones for a larger. One prompt
    gives much the same again and again: drop the doubles, or vary it with `DataFromAttributedPrompt`.

    >>> stories = DataFromPrompt("Write about a lamp.", teacher=teacher, n=2, max_tokens=4, keep_cut=True)
    >>> show(Select(stories, ["id"]))
    {'id': 'made-0'}
    {'id': 'made-1'}
    """

    instruction: Annotated[str, MinLen(1)]
    """What is asked."""
    _: KW_ONLY
    n: Annotated[int, Ge(1)]
    """Rows wanted."""
    prompt: Template = "answer.jinja"
    """Gets `instruction`."""
    temperature: Annotated[float, Ge(0)] = 1.0
    """1 draws from the teacher's own distribution, the most varied that is still like it."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher or the prompt."""
        yield from super().check()
        yield from prompt_problems(self.prompt, allowed=("instruction",), wanted=("instruction",))
        if self.n > 1 and self.temperature == 0:
            yield Problem("", "n", f"{self.n} greedy answers are {self.n} times the same: set temperature, e.g. to 1.0")

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns made."""
        return frozenset({"id", self.output, "finish_reason"})

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume answers of full length: an upper bound."""
        return upper_bound(self.n, 1, self.max_tokens)

    def run(self, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows."""
        yield from rows_with_answers(self, teacher, self._questions(), self.n, context)

    def _questions(self) -> Iterator[Question[dict[str, Any]]]:
        """Yield the one prompt, as often as answers are wanted."""
        chats = (render(self.prompt, {"instruction": self.instruction}),)
        for number in range(self.n):
            row_id = f"made-{number}"
            yield Question({"id": row_id}, row_id, chats, number)
