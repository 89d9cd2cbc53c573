"""Training on a teacher's distributions: stored top-k log-probabilities, or the teacher itself beside the student."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.errors import Problem
from potstill.trainers.language_models.base import CausalTraining, fit
from potstill.trainers.language_models.soft_lesson import (
    SoftFields,
    soft_lesson,
    soft_problems,
)
from potstill.trainers.loop.context import set_up

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class SoftLabel(SoftFields, CausalTraining):
    """Train a student on a teacher's next-token distributions, mixed with the text.

    The loss of a token is alpha * temperature^2 * divergence + (1 - alpha) * cross-entropy, with KL(teacher || student)
    unless `divergence` says otherwise (Hinton et al. 2015, arXiv 1503.02531, section 2; token by token: Kim and Rush
    2016, arXiv 1606.07947, section 3.1). Rows that carry soft labels are trained on those: top-k ones over the kept
    entries and one bucket for the rest, hidden states over the whole vocabulary. For other rows `teacher` is loaded
    beside the student and reads the student's tokens. Teacher and student must share one vocabulary, except for
    `divergence="uld"`; stored soft labels of another tokenizer or chat template are refused.

    >>> rows = LoadRows([{"instruction": "turn on the lamp", "output": "on"}])
    >>> show(SoftLabel(rows, student=student, teacher=student, divergence="jensen_shannon", epochs=1))
    {'parameters': 1049984, 'zeros': 0.0, 'bits': 16}
    """

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the rows must have."""
        return {"rows": self.soft_columns(self.prompt)}

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters, and with the vocabularies where both are at hand."""
        yield from super().check()
        yield from soft_problems(self, self.student)

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        return {**super().recipe(), **self.soft_recipe()}

    def run(
        self,
        rows: Dataset,
        student: ModelSource,
        teacher: ModelSource | None,
        context: Context,
        *,
        validation: Dataset | None = None,
    ) -> Path:
        """Train the student on `rows` and write its folder."""
        inputs = {"rows": rows, "student": student, "teacher": teacher}
        with set_up(self, inputs, context, validation) as training:
            lesson = soft_lesson(self, rows, student, teacher, training, how=self)
            return fit(self, *lesson, training)
