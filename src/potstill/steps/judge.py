"""Which of two texts is better, asked in both orders (Zheng et al. 2023, "Judging LLM-as-a-Judge", section 3.4)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval, MinLen

from potstill.asking import Question, Tries, asked, row_name, upper_bound
from potstill.errors import Problem
from potstill.generate import place, teacher_problems
from potstill.prompts import Template
from potstill.step import Estimate, Model, Rows, Step
from potstill.steps.choices import held_to
from potstill.steps.parse import one_of
from potstill.steps.templates import prompt_columns, prompt_problems
from potstill.steps.verdict import CHOICES, GIVEN, both_orders, verdict
from potstill.teachers.protocol import Sampling

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.context import Context


class JudgePairsWithPrompt(Step):
    """Has the teacher compare two columns of each row: `verdict` is `first`, `second` or `tie`.

    Judges favour a place, most of them the first, so each pair is asked in both orders, and a judge that contradicts
    itself has found a tie; `agreed` says whether it did not. Equal texts are a tie without being asked.

    >>> rows = LoadRows([{"instruction": "Name a colour.", "a": "Blue.", "b": "The sea."}])
    >>> judged = JudgePairsWithPrompt(rows, teacher=teacher, first="a", second="b", criterion="It is an answer.")
    >>> show(Select(judged, ["a", "b", "verdict"]))
    {'a': 'Blue.', 'b': 'The sea.', 'verdict': 'tie'}
    """

    rows: Rows
    """Rows with both texts."""
    _: KW_ONLY
    teacher: Model
    """Who judges."""
    first: Annotated[str, MinLen(1)]
    """Column of the one text."""
    second: Annotated[str, MinLen(1)]
    """Column of the other."""
    criterion: str = "The better answer is more helpful, correct and to the point."
    """What makes one better."""
    prompt: Template = "judge_pair.jinja"
    """Gets `first`, `second` and `criterion`, and the row's columns; asks for A, B or tie."""
    structured: bool = True
    """Whether a teacher that can is held to the three answers while it writes."""
    max_tokens: Annotated[int, Ge(1)] = 64
    """Longest answer."""
    max_tries: Annotated[int, Ge(1)] = 3
    """Times an answer that says none of the three is asked for; after the first, greedy one, at temperature 0.7."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.01
    """Share of the rows that may be lost without a verdict."""
    seed: int = 0
    """Of the second and later tries."""

    makes: ClassVar[str] = "rows"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers", "vllm")

    def __post_init__(self) -> None:
        """Choose where the step runs."""
        place(self, self.teacher)

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher, the template or the columns."""
        yield from teacher_problems(self.teacher)
        yield from prompt_problems(self.prompt, wanted=("first", "second"))
        if self.first == self.second:
            yield Problem("", "second", f"names the same column as first, {self.first!r}: nothing would be compared")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return both columns, and what else the template uses."""
        return {"rows": (self.first, self.second, *prompt_columns(self.prompt, GIVEN))}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones."""
        rows = inputs.get("rows")
        return None if rows is None else rows | {"verdict", "agreed"}

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count two questions a row."""
        return upper_bound(rows.get("rows"), 2, self.max_tokens)

    def run(self, rows: Dataset, teacher: Any, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows with their verdicts, in order."""
        sampling = Sampling(max_tokens=self.max_tokens, structured=held_to(CHOICES, teacher, self.structured))
        tries = Tries(sampling, self.max_tries, self.seed)
        answered = asked(teacher, self._questions(rows), one_of(CHOICES), tries, context, 2 * len(rows))
        for row, answers in answered:
            context.ledger.keep()
            found = verdict([answer.value for answer in answers])
            yield {**row, "verdict": found.better, "agreed": found.agreed}

    def _questions(self, rows: Dataset) -> Iterator[Question[dict[str, Any]]]:
        """Yield each pair in both orders."""
        for number, row in enumerate(rows):
            chats = both_orders(self.prompt, row, row[self.first], row[self.second], self.criterion)
            yield Question(row, row_name(row, number), chats)
