"""One instruction applied to a column: translate it, summarise it, rewrite it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval, MinLen

from potstill.asking import Question, Tries, as_text, asked, row_name, upper_bound
from potstill.errors import Problem
from potstill.generate import place, teacher_problems
from potstill.prompts import Template, render
from potstill.step import Estimate, Model, Rows, Step
from potstill.steps.templates import prompt_columns, prompt_problems
from potstill.teachers.protocol import Sampling

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.context import Context

GIVEN = ("instruction", "text")
"""Template variables that the step gives; a column `instruction` is hidden by the step's own."""


class ProcessWithPrompt(Step):
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
    teacher: Model
    """Who does it."""
    instruction: Annotated[str, MinLen(1)]
    """What is to be done with each text."""
    column: Annotated[str, MinLen(1)]
    """Where the text is."""
    output: Annotated[str, MinLen(1)] = "output"
    """Column of the results."""
    prompt: Template = "process.jinja"
    """Gets `instruction` and `text`, and the row's columns."""
    temperature: Annotated[float, Ge(0)] = 0.0
    """0 takes the most probable answer."""
    top_p: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Nucleus mass."""
    max_tokens: Annotated[int, Ge(1)] = 512
    """Longest answer."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer."""
    keep_cut: bool = False
    """Whether answers cut at `max_tokens` stay, with the finish reason `length`."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.01
    """Share of the rows that may be lost."""
    seed: int = 0
    """Of the sampling."""

    makes: ClassVar[str] = "rows"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers", "vllm")

    def __post_init__(self) -> None:
        """Choose where the step runs."""
        place(self, self.teacher)

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher or the template."""
        yield from teacher_problems(self.teacher)
        yield from prompt_problems(self.prompt, wanted=GIVEN)

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column that is processed, and what else the template uses."""
        return {"rows": (self.column, *prompt_columns(self.prompt, GIVEN))}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones."""
        rows = inputs.get("rows")
        return None if rows is None else rows | {self.output, "finish_reason"}

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume answers of full length: an upper bound."""
        return upper_bound(rows.get("rows"), 1, self.max_tokens)

    def run(self, rows: Dataset, teacher: Any, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows with their results, in order."""
        sampling = Sampling(self.temperature, self.top_p, self.max_tokens, self.stop)
        tries = Tries(sampling, seed=self.seed, keep_cut=self.keep_cut)
        for row, (answer,) in asked(teacher, self._questions(rows), as_text, tries, context, len(rows)):
            context.ledger.keep()
            yield {**row, self.output: answer.text, "finish_reason": answer.finish_reason}

    def _questions(self, rows: Dataset) -> Iterator[Question[dict[str, Any]]]:
        """Yield each row's prompt."""
        for number, row in enumerate(rows):
            given = {**row, "instruction": self.instruction, "text": row[self.column]}
            yield Question(row, row_name(row, number), (render(self.prompt, given),))
