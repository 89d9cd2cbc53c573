"""Steps whose teacher reads an answer that is given, and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY
from typing import Annotated, ClassVar

from annotated_types import Interval

from potstill.prompts import Template
from potstill.step import Model, Rows
from potstill.steps.bases.teacher import TeacherStep
from potstill.steps.templates import prompt_columns


class GivenTextStep(TeacherStep):
    """Has the teacher read the answer in each row after its prompt."""

    version: ClassVar[int] = 1  # what is read is as it was

    rows: Rows
    """Rows with an answer."""
    _: KW_ONLY
    teacher: Model
    """Who reads; it must be able to score given text."""
    prompt: Template = "answer.jinja"
    """Turns a row into the chat that the answer ends; students must get the same."""
    column: str = "output"
    """Where the answer is."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.01
    """Share of the rows that may be lost."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the answer's column and the variables of the prompt template."""
        return {"rows": (self.column, *prompt_columns(self.prompt))}
