"""Prompt a teacher with each row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from potstill.engine.step import Estimate, Rows
from potstill.errors import BadInput, Problem
from potstill.prompts import Template, rendered
from potstill.steps.generation.answer_column import columns_with_answer, row_with_answer, tries_of
from potstill.steps.generation.base import GenerationStep
from potstill.steps.rows.prompt_columns import prompt_columns, prompt_problems
from potstill.teachers.cache.parse_retry import Question, as_text, asked, row_name, upper_bound

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource


class Prompt(GenerationStep):
    """Asks the teacher each row, rendered by a template, and puts the answer beside it.

    With `n` answers a row, the row is repeated n times, numbered by the column `sample`: each answer is kept or lost by
    itself, and raising `n` asks only for the new ones. An answer that was cut is not trusted: its row is lost, or with
    `keep_cut` marked by its `finish_reason`.

    >>> rows = LoadRows([{"instruction": "turn on the lamp in the kitchen"}])
    >>> show(Select(Prompt(rows, teacher=teacher, prompt="home.jinja"), ["output", "finish_reason"]))
    {'output': '{"device":"light","room":"kitchen","action":"on","value":null}', 'finish_reason': 'stop'}
    """

    rows: Rows
    """What is asked."""
    _: KW_ONLY
    prompt: Template = "answer.jinja"
    """Turns a row into a chat."""
    n: Annotated[int, Ge(1)] = 1
    """Answers a row; more than one need a temperature above 0."""
    parse: Callable[[str], Any] | None = None
    """Reads an answer, and raises if it has not the form wanted: a dict gives columns, anything else the column
    `parsed`. Editing it asks the teacher nothing. None takes every answer."""
    max_tries: Annotated[int, Ge(1)] = 3
    """Times an answer that `parse` refuses is asked for; after a greedy one, at temperature 0.7."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher, the template, or between two parameters."""
        yield from super().check()
        yield from prompt_problems(self.prompt)
        if self.n > 1 and self.temperature == 0:
            yield Problem("", "n", f"{self.n} greedy answers are {self.n} times the same: set temperature, e.g. to 1.0")
        if self.parse and self.keep_cut:
            yield Problem("", "keep_cut", "an answer that is cut can't be trusted to parse: drop keep_cut or parse")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the variables of the prompt template."""
        return {"rows": prompt_columns(self.prompt)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones; what `parse` gives is not known.

        Raises:
            BadInput: the rows have one of these already.
        """
        columns = columns_with_answer(self, inputs.get("rows"), ("sample",) if self.n > 1 else ())
        return None if self.parse else columns

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume answers of full length: an upper bound."""
        count = rows.get("rows")
        return upper_bound(None if count is None else count * self.n, 1, self.max_tokens)

    def run(self, rows: Dataset, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows with their answers, in order."""
        questions, parse = self._questions(rows), self.parse or as_text
        tries = tries_of(self, self.max_tries if self.parse else 1)
        for row, (answer,) in asked(teacher, questions, parse, tries, context, len(rows) * self.n):
            context.ledger.keep()
            answered_row = row_with_answer(self, row, answer)
            yield {**answered_row, **new_columns(row, answer.value)} if self.parse else answered_row

    def _questions(self, rows: Dataset) -> Iterator[Question[dict[str, Any]]]:
        """Yield each row's prompt, `n` times."""
        for number, row in enumerate(rows):
            chats = (rendered(self.prompt, row),)
            for sample in range(self.n):
                tag = {**row, "sample": sample} if self.n > 1 else row
                mark = f"#{sample}" if self.n > 1 else ""
                yield Question(tag, row_name(row, number) + mark, chats, sample)


def new_columns(row: Mapping[str, Any], value: object) -> dict[str, Any]:
    """Return the columns of a parsed answer.

    Raises:
        BadInput: the row has one of these already.
    """
    columns = as_columns(value)
    taken = sorted(row.keys() & columns.keys())
    if taken:
        raise BadInput(
            Problem("", "parse", f"returns {', '.join(taken)}, which the rows have already: let it give other names")
        )
    return columns


def as_columns(value: object) -> dict[str, Any]:
    """Return the columns of a parsed answer."""
    return dict(value) if isinstance(value, Mapping) else {"parsed": value}
