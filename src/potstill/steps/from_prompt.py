"""Rows from nothing but an instruction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval, MinLen

from potstill.asking import Question, Tries, as_text, asked, upper_bound
from potstill.errors import Problem
from potstill.generate import place, teacher_problems
from potstill.prompts import Template, render
from potstill.step import Estimate, Model, Step
from potstill.steps.templates import prompt_problems
from potstill.teachers.protocol import Sampling

if TYPE_CHECKING:
    from potstill.context import Context


class DataFromPrompt(Step):
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
    teacher: Model
    """Who writes."""
    n: Annotated[int, Ge(1)]
    """Rows wanted."""
    prompt: Template = "answer.jinja"
    """Gets `instruction`."""
    output: Annotated[str, MinLen(1)] = "output"
    """Column of what is written."""
    temperature: Annotated[float, Ge(0)] = 1.0
    """1 draws from the teacher's own distribution, the most varied that is still like it."""
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
        """Yield what is wrong with the teacher or the prompt."""
        yield from teacher_problems(self.teacher)
        yield from prompt_problems(self.prompt, known=("instruction",), wanted=("instruction",))
        if self.n > 1 and self.temperature == 0:
            yield Problem("", "n", f"{self.n} greedy answers are {self.n} times the same: set temperature, e.g. to 1.0")

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns made."""
        return frozenset({"id", self.output, "finish_reason"})

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume answers of full length: an upper bound."""
        return upper_bound(self.n, 1, self.max_tokens)

    def run(self, teacher: Any, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows."""
        chats = (render(self.prompt, {"instruction": self.instruction}),)
        questions = (Question(f"made-{number}", f"made-{number}", chats, number) for number in range(self.n))
        sampling = Sampling(self.temperature, self.top_p, self.max_tokens, self.stop)
        tries = Tries(sampling, seed=self.seed, keep_cut=self.keep_cut)
        for name, (answer,) in asked(teacher, questions, as_text, tries, context, self.n):
            context.ledger.keep()
            yield {"id": name, self.output: answer.text, "finish_reason": answer.finish_reason}
