"""Steps that ask a teacher: who is asked, how its answers are drawn, and its answers as a column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval, MinLen

from potstill.engine.step import Estimate, Model, Placement, Step, Trial
from potstill.errors import Problem
from potstill.models.preload import ENGINE
from potstill.steps.rows.added import added, answered, with_answer
from potstill.teachers.cache.forecast import left_to_ask, sampled
from potstill.teachers.cache.parse_retry import Answer, Question, Tries, as_text, asked, upper_bound
from potstill.teachers.cache.response_cache import teacher_problems
from potstill.teachers.placement import placed
from potstill.teachers.protocol import Sampling

if TYPE_CHECKING:
    from potstill.engine.context import Context


class TeacherStep(Step):
    """Makes rows from what a teacher says; a subclass says what it is asked.

    It runs where the teacher does: in a process of its own, or in this one if the teacher loads no model here.
    """

    version: ClassVar[int] = 2  # thoughts are no part of an answer, which is read to its end
    makes: ClassVar[str] = "rows"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ENGINE

    _: KW_ONLY
    teacher: Model
    """Who is asked."""

    def placement(self) -> Placement:
        """Return where the teacher runs."""
        return placed(self.teacher, super().placement())

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher."""
        yield from teacher_problems(self.teacher)

    def forecast(self, rows: Mapping[str, int | None], trial: Trial) -> Estimate:
        """Count the requests that the journal lacks, with their prompts' tokens and the teacher's price."""
        bound = self.estimate(rows)
        inputs, share = sampled(trial.inputs())
        price = getattr(inputs["teacher"], "price", None)
        run: Callable[..., Iterator[object]] = self.run  # type: ignore[assignment]  # what a subclass defines
        return left_to_ask(bound, lambda: run(**inputs, context=trial.context()), share, price)


class AskingStep(TeacherStep):
    """Asks many questions, some of which may stay without an answer."""

    _: KW_ONLY
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.01
    """Share of the rows that may be lost to failures; what is dropped on purpose is none."""
    seed: int = 0
    """Of all that is drawn: answers above temperature 0, second tries, and what the step chooses by chance. The same
    question with the same seed gets the same answer."""


class SamplingStep(AskingStep):
    """Has the teacher write, token by token."""

    _: KW_ONLY
    temperature: Annotated[float, Ge(0)] = 0.0
    """0 takes the most probable answer."""
    top_p: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Nucleus mass."""
    max_tokens: Annotated[int, Ge(1)] = 512
    """Longest answer, in tokens."""

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume an answer of full length to each row: an upper bound."""
        return upper_bound(rows.get("rows"), 1, self.max_tokens)


class GenerationStep(SamplingStep):
    """Puts the answer to each question, as it is, into a column."""

    _: KW_ONLY
    output: Annotated[str, MinLen(1)] = "output"
    """Column of the answers."""
    stop: tuple[str, ...] = ()
    """Texts that end an answer."""
    keep_cut: bool = False
    """Whether answers cut at `max_tokens` stay, with the finish reason `length`."""
    reasoning: str = ""
    """Column of what the teacher thought before each answer; empty leaves the thoughts out."""

    unkeyed_defaults: ClassVar[frozenset[str]] = frozenset({"reasoning"})

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already.
        """
        rows = inputs.get("rows")
        return answered(rows, added(self, rows, self.new_columns(), given=self.given()))

    def new_columns(self) -> tuple[str, ...]:
        """Return the columns that are put beside those of the rows."""
        return (self.output, *((self.reasoning,) if self.reasoning else ()))

    def with_answer(self, row: Mapping[str, Any], answer: Answer[Any]) -> dict[str, Any]:
        """Return the row with an answer to it."""
        thoughts = {self.reasoning: answer.reasoning} if self.reasoning else {}
        return {**with_answer(row, self.output, answer.text, answer.finish_reason), **thoughts}

    def given(self) -> tuple[str, ...]:
        """Return the variables that the step gives its template."""
        return ()

    def tries(self, most: int = 1) -> Tries:
        """Return how each question is asked, `most` times if no answer has the form wanted."""
        sampling = Sampling(self.temperature, self.top_p, self.max_tokens, self.stop)
        return Tries(sampling, most, self.seed, self.keep_cut)

    def answered(
        self, teacher: Any, questions: Iterable[Question[dict[str, Any]]], total: int, context: Context
    ) -> Iterator[dict[str, Any]]:
        """Ask the `total` questions, whose tags are rows; yield the rows with their answers, in order."""
        for row, (answer,) in asked(teacher, questions, as_text, self.tries(), context, total):
            context.ledger.keep()
            yield self.with_answer(row, answer)
