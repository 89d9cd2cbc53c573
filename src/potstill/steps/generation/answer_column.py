"""Shared by steps that ask for texts: each answer goes into a column as it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from potstill.steps.generation.base import GenerationStep
from potstill.steps.rows.added import added, answered, with_answer
from potstill.teachers.cache.parse_retry import Answer, Question, Tries, as_text, asked
from potstill.teachers.protocol import Sampling

if TYPE_CHECKING:
    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource


def columns_with_answer(
    step: GenerationStep, rows: frozenset[str] | None, more: Collection[str] = (), given: Collection[str] = ()
) -> frozenset[str] | None:
    """Return the columns of the rows, and those that `step` adds to them: of its answers, and `more`.

    Args:
        step: asks.
        rows: the columns that are there; None where they are not known.
        more: columns that the step adds besides its answers.
        given: variables that the step gives its template.

    Raises:
        BadInput: the rows have one of these already.
    """
    thoughts = (step.reasoning,) if step.reasoning else ()
    return answered(rows, added(step, rows, (step.output, *thoughts, *more), given=given))


def row_with_answer(step: GenerationStep, row: Mapping[str, Any], answer: Answer[Any]) -> dict[str, Any]:
    """Return the row with an answer to it."""
    thoughts = {step.reasoning: answer.reasoning} if step.reasoning else {}
    return {**with_answer(row, step.output, answer.text, answer.finish_reason), **thoughts}


def tries_of(step: GenerationStep, most: int = 1) -> Tries:
    """Return how `step` asks each question: `most` times, if no answer has the form wanted."""
    sampling = Sampling(step.temperature, step.top_p, step.max_tokens, step.stop)
    return Tries(sampling, most, step.seed, step.keep_cut)


def rows_with_answers(
    step: GenerationStep,
    teacher: TeacherSource,
    questions: Iterable[Question[dict[str, Any]]],
    total: int,
    context: Context,
) -> Iterator[dict[str, Any]]:
    """Ask the `total` questions, whose tags are rows; yield the rows with their answers, in order."""
    for row, (answer,) in asked(teacher, questions, as_text, tries_of(step), context, total):
        context.ledger.keep()
        yield row_with_answer(step, row, answer)
