"""Few-shot prompting (Brown et al. 2020, "Language Models are Few-Shot Learners", section 2)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from potstill.engine.step import Estimate, Rows
from potstill.errors import Problem
from potstill.prompts import Template, rendered
from potstill.steps.generation.answer_column import columns_with_answer, rows_with_answers
from potstill.steps.generation.base import GenerationStep
from potstill.steps.generation.in_context import GIVEN, bound_with_shown, enough, few_shot_needs
from potstill.steps.rows.prompt_columns import prompt_problems
from potstill.teachers.cache.parse_retry import Question, row_name

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource


class FewShotPrompt(GenerationStep):
    """Asks each row after `k` examples, drawn by the seed from other rows.

    A base model goes on after its answer, with `Question:` where the template is the built-in one: name that as `stop`.

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
    k: Annotated[int, Ge(1)] = 8
    """Examples shown."""
    task: str = ""
    """What is to be done, said before the examples."""
    prompt: Template = "few_shot.jinja"
    """Gets `examples` (rows), `task`, and the row's columns."""
    per_row: bool = False
    """Whether each row gets examples of its own; the same ones for all are read only once by an engine that caches
    prefixes."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher or the template."""
        yield from super().check()
        yield from prompt_problems(self.prompt, wanted=("examples",))

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return what the template uses of the rows and of the examples."""
        return few_shot_needs(self.prompt)

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already, or one that the step's own hides from the template.
        """
        return columns_with_answer(self, inputs.get("rows"), given=GIVEN)

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume answers of full length, and the examples as long as answers."""
        return bound_with_shown(rows.get("rows"), self.k, self.max_tokens)

    def run(
        self, rows: Dataset, examples: Dataset, teacher: TeacherSource, context: Context
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows with their answers, in order.

        Raises:
            BadInput: there are fewer examples than are to be shown.
        """
        enough(examples, self.k)
        yield from rows_with_answers(self, teacher, self._questions(rows, examples), len(rows), context)

    def _questions(self, rows: Dataset, examples: Dataset) -> Iterator[Question[dict[str, Any]]]:
        """Yield each row's prompt."""
        # drawn once: equal prompt beginnings hit the engine's prefix cache
        shown = self._draw(examples, "all")
        for number, row in enumerate(rows):
            name = row_name(row, number)
            picked = self._draw(examples, name) if self.per_row else shown
            chat = rendered(self.prompt, {**row, "examples": picked, "task": self.task})
            yield Question(row, name, (chat,))

    def _draw(self, examples: Dataset, name: str) -> list[dict[str, Any]]:
        """Return `k` examples, in random order, for the row `name`."""
        numbers = random.Random(f"{self.seed}/{name}").sample(range(len(examples)), self.k)
        return [examples[number] for number in numbers]
