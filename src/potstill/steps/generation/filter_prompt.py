"""Filter rows by a teacher's yes or no to a criterion."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Any

from potstill.engine.step import Estimate, Rows
from potstill.errors import PotstillError, Problem
from potstill.prompts import Template, rendered
from potstill.steps.generation.answer_parsers import one_of
from potstill.steps.generation.choice import ChoiceStep, tries_for_choice
from potstill.steps.rows.added import added
from potstill.steps.rows.prompt_columns import prompt_columns, prompt_problems
from potstill.teachers.cache.parse_retry import Question, asked, row_name, upper_bound

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource

CHOICES = ("yes", "no")


class FilterWithPrompt(ChoiceStep):
    """Keeps the rows for which the teacher says that a criterion is met; each row that goes is in the ledger.

    Decoding is constrained to the two words where the teacher can; set `structured` to False for a template that asks
    for the reasons too: they then stand in the ledger beside the rows that went.

    >>> rows = LoadRows([{"instruction": "open the garage"}, {"instruction": "close the garage"}])
    >>> kept = FilterWithPrompt(rows, teacher=teacher, criterion="It can be done in a house.")
    >>> show(kept)
    {'instruction': 'open the garage'}
    {'instruction': 'close the garage'}
    """

    rows: Rows
    """Rows to choose from."""
    _: KW_ONLY
    criterion: str = ""
    """What a row must meet to stay."""
    prompt: Template = "filter.jinja"
    """Gets `criterion` and the row's columns; asks for yes or no. A template of one's own may hold the criterion."""
    keep: str = "yes"
    """The answer that keeps a row; `no` turns the filter round."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher, the template or the criterion."""
        yield from super().check()
        yield from prompt_problems(self.prompt, wanted=("criterion",) if self.criterion else ())
        if self.prompt == "filter.jinja" and not self.criterion:
            yield Problem("", "criterion", "is empty: say what a row must meet, or give a prompt that does")
        if self.keep not in CHOICES:
            yield Problem("", "keep", f"must be yes or no, got {self.keep!r}")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the variables of the prompt template."""
        return {"rows": prompt_columns(self.prompt, ("criterion",))}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already.
        """
        return added(self, inputs.get("rows"), (), given=("criterion",))

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume that all rows stay."""
        return upper_bound(rows.get("rows"), 1, self.max_tokens)

    def run(self, rows: Dataset, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows that stay.

        Raises:
            PotstillError: none does.
        """
        tries = tries_for_choice(self, CHOICES, teacher)
        for (name, row), (answer,) in asked(teacher, self._questions(rows), one_of(CHOICES), tries, context, len(rows)):
            if answer.value == self.keep:
                context.ledger.keep()
                yield row
            else:
                context.ledger.lose(name, "filtered", f"the teacher answered {answer.value}", answer.text)
        if len(rows) and not context.ledger.kept:
            lost = ", ".join(f"{reason} {count}" for (_, reason), count in context.ledger.lost.most_common())
            raise PotstillError(
                f"no row of {len(rows)} is left: {lost}; look at what was lost, or change the criterion"
            )

    def _questions(self, rows: Dataset) -> Iterator[Question[tuple[str, dict[str, Any]]]]:
        """Yield each row's prompt."""
        for number, row in enumerate(rows):
            name = row_name(row, number)
            yield Question((name, row), name, (rendered(self.prompt, {**row, "criterion": self.criterion}),))
