"""Base class of steps whose teacher scores a given answer and generates nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from typing import Annotated, Any, ClassVar

from annotated_types import Interval

from potstill.engine.step import Estimate, Placement, Rows, Step, Trial
from potstill.models.edge import Model
from potstill.models.preload import ENGINE
from potstill.prompts import Template, answer_columns, answer_of
from potstill.steps.rows.prompt_columns import prompt_columns
from potstill.teachers.cache.forecast import still_to_ask
from potstill.teachers.placement import placed


class GivenTextStep(Step):
    """Has the teacher read the answer in each row after its prompt."""

    makes: ClassVar[str] = "rows"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ENGINE

    rows: Rows
    """Rows with an answer."""
    _: KW_ONLY
    teacher: Model
    """Who reads: a model folder, a Hub id, a step, or a teacher that can score given text."""
    prompt: Template = "answer.jinja"
    """Turns a row into the chat that the answer ends; students must get the same."""
    column: str = "output"
    """Where the answer is."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.01
    """Share of the rows that may be lost."""

    def placement(self) -> Placement:
        """Return where the teacher runs."""
        return placed(self.teacher, super().placement())

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the answer's column, if it isn't the last turn of a conversation, and the prompt's variables."""
        answer = answer_columns(self.prompt) if self.column == "output" else (self.column,)
        return {"rows": (*answer, *prompt_columns(self.prompt))}

    def forecast(self, rows: Mapping[str, int | None], trial: Trial) -> Estimate:
        """Count the requests that the journal lacks, with their prompts' tokens and the teacher's price."""
        return still_to_ask(self, rows, trial)


def given_text(row: Mapping[str, Any], prompt: str, column: str) -> str | None:
    """Return the answer in a row: the text of `column`, or for `output` perhaps the last turn of its conversation.

    Raises:
        UnfitRow: a value of the row can't be put into the prompt.
    """
    text = answer_of(prompt, row) if column == "output" else row[column]
    return text if isinstance(text, str) and text.strip() else None
