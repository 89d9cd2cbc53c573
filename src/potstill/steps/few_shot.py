"""Rows asked after worked examples (Brown et al. 2020, "Language Models are Few-Shot Learners", section 2)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval, MinLen

from potstill.asking import Question, Tries, as_text, asked, row_name, upper_bound
from potstill.errors import BadInput, Problem
from potstill.generate import place, teacher_problems
from potstill.prompts import Template, render
from potstill.step import Estimate, Model, Rows, Step
from potstill.steps.templates import item_fields, prompt_columns, prompt_problems
from potstill.teachers.protocol import Sampling

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.context import Context

GIVEN = ("examples", "task")
"""Template variables that the step gives."""


class FewShotPrompt(Step):
    """Asks each row after `k` examples, drawn by the seed from other rows.

    >>> shown = LoadRows([{"instruction": "2 + 2", "output": "4"}, {"instruction": "1 + 5", "output": "6"}])
    >>> rows = LoadRows([{"id": "a", "instruction": "3 + 4"}])
    >>> answers = FewShotPrompt(rows, shown, teacher=teacher, k=2, max_tokens=4, keep_cut=True)
    >>> show(Select(answers, ["id", "instruction"]))
    {'id': 'a', 'instruction': '3 + 4'}
    """

    rows: Rows
    """What is asked."""
    examples: Rows
    """Rows that are answered already."""
    _: KW_ONLY
    teacher: Model
    """Who answers."""
    k: Annotated[int, Ge(1)] = 8
    """Examples shown."""
    per_row: bool = False
    """Whether each row gets examples of its own; the same ones for all are read only once by an engine that caches
    prefixes."""
    task: str = ""
    """What is to be done, said before the examples."""
    prompt: Template = "few_shot.jinja"
    """Gets `examples` (rows), `task`, and the row's columns."""
    output: Annotated[str, MinLen(1)] = "output"
    """Column of the answers."""
    temperature: Annotated[float, Ge(0)] = 0.0
    """0 takes the most probable answer."""
    top_p: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Nucleus mass."""
    max_tokens: Annotated[int, Ge(1)] = 512
    """Longest answer."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer; a base model goes on with `Question:`."""
    keep_cut: bool = False
    """Whether answers cut at `max_tokens` stay, with the finish reason `length`."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.01
    """Share of the rows that may be lost."""
    seed: int = 0
    """Of the choice of examples and of the sampling."""

    makes: ClassVar[str] = "rows"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers", "vllm")

    def __post_init__(self) -> None:
        """Choose where the step runs."""
        place(self, self.teacher)

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher or the template."""
        yield from teacher_problems(self.teacher)
        yield from prompt_problems(self.prompt, wanted=("examples",))

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return what the template uses of the rows and of the examples."""
        return {"rows": prompt_columns(self.prompt, GIVEN), "examples": item_fields(self.prompt, "examples")}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones."""
        rows = inputs.get("rows")
        return None if rows is None else rows | {self.output, "finish_reason"}

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume answers of full length, and examples as long as answers."""
        return upper_bound(rows.get("rows"), 1, self.max_tokens * (self.k + 2) // 2)

    def run(self, rows: Dataset, examples: Dataset, teacher: Any, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows with their answers, in order.

        Raises:
            BadInput: there are fewer examples than are to be shown.
        """
        enough(examples, self.k)
        sampling = Sampling(self.temperature, self.top_p, self.max_tokens, self.stop)
        tries = Tries(sampling, seed=self.seed, keep_cut=self.keep_cut)
        for row, (answer,) in asked(teacher, self._questions(rows, examples), as_text, tries, context, len(rows)):
            context.ledger.keep()
            yield {**row, self.output: answer.text, "finish_reason": answer.finish_reason}

    def _questions(self, rows: Dataset, examples: Dataset) -> Iterator[Question[dict[str, Any]]]:
        """Yield each row's prompt."""
        shown = self._draw(examples, "all")
        for number, row in enumerate(rows):
            name = row_name(row, number)
            given = self._draw(examples, name) if self.per_row else shown
            chat = render(self.prompt, {**row, "examples": given, "task": self.task})
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
