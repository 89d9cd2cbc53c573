"""Sequence classification: an encoder with a new head learns labels, and a teacher's probabilities of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.engine.step import Model
from potstill.errors import Problem, RequestError
from potstill.trainers.encoders.base import TWICE, ClassTraining, fit, load, prepare
from potstill.trainers.encoders.class_names import SOFT
from potstill.trainers.loop.context import set_up

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor

    from potstill.engine.context import Context
    from potstill.trainers.encoders.class_teacher import ClassTeacher
    from potstill.trainers.loop.objective import Losses


class Classifier(ClassTraining):
    """Train an encoder with a new head to name the class of a text; all weights learn.

    The loss is cross-entropy on `label`. With a `teacher`, or its `probabilities` in the rows, it is alpha *
    temperature^2 * KL(teacher || student) + (1 - alpha) * cross-entropy (Hinton et al. 2015, arXiv 1503.02531,
    section 2). `ClassProbabilities` writes a teacher's `probabilities` once: for many students, or where the tokenizers
    differ.

    >>> rows = LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}])
    >>> show(Classifier(rows, student=encoder, epochs=1))
    {'parameters': 22713986, 'zeros': 0.0, 'bits': 32}
    """

    _: KW_ONLY
    teacher: Model | None = None
    """A classifier of the same classes, in any order, and with the student's tokenizer: it reads each batch beside the
    student. Not with a column `probabilities`, which is a teacher that has spoken: one for each of the sorted classes,
    or by name; None in a row is sure of the label."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the rows must have."""
        stored = (SOFT,) if self.alpha and self.teacher is None else ()
        return {"rows": (self.text, *(() if self.alpha == 1 else (self.label,)), *stored)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> None:
        """Check that there is one teacher.

        Raises:
            RequestError: there are two.
        """
        if self.teacher is not None and SOFT in (inputs.get("rows") or ()):
            raise RequestError(Problem("", "teacher", TWICE))

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        if self.teacher is not None and self.alpha == 0:
            yield Problem("", "alpha", "is 0, so the teacher has no say: raise it, or leave teacher= out")

    def run(
        self, rows: Dataset, student: Any, context: Context, teacher: Any = None, *, validation: Dataset | None = None
    ) -> Path:
        """Train the student on `rows` and write its folder.

        Raises:
            BadInput: the student is no encoder that can be trained, or the labels make no classes.
        """
        from potstill.trainers.encoders.text_batches import reading

        inputs = {"rows": rows, "student": student, "teacher": teacher}
        with set_up(self, inputs, context, validation) as training:
            prepared = prepare(self, rows, student, teacher, training)
            padding = prepared.tokenizer.pad_token_id
            model = load(prepared.folder, prepared.names, padding, self.seed)
            objective = ClassObjective(prepared.alpha, self.temperature, prepared.load_teacher())
            recipe = {"alpha": prepared.alpha, "temperature": self.temperature} if prepared.alpha else {}
            return fit(self, prepared, model, objective, reading(padding), recipe, training)


@dataclass(frozen=True)
class ClassObjective:
    """alpha * temperature^2 * KL(teacher || student) + (1 - alpha) * cross-entropy, for each row."""

    alpha: float
    """Weight of the teacher's probabilities."""
    temperature: float
    """Softens both distributions."""
    teacher: ClassTeacher | None = None
    """Reads along; without one the batches hold its log-probabilities."""

    def __call__(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss [B] of the rows from the student's logits [B, C]."""
        return self.losses(logits, batch).total()

    def losses(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Losses:
        """Return both parts of the loss, and how often student and teacher name the same class."""
        from potstill.trainers.encoders.text_batches import label_loss
        from potstill.trainers.loop.objective import Losses, agreement
        from potstill.trainers.losses import forward_kl

        hard = (1 - self.alpha) * label_loss(logits, batch["labels"])
        if not self.alpha:
            return Losses({"hard": hard})
        # log-probabilities are logits that sum to one: softening them is exact
        theirs = batch["teacher_logprobs"] if self.teacher is None else self.teacher.logits(batch)
        divergence = forward_kl(logits, theirs, self.temperature)
        same = agreement(logits.detach(), theirs.argmax(dim=-1))
        parts = {"hard": hard, "soft": self.alpha * self.temperature**2 * divergence}
        return Losses(parts, {"agreement": same, "divergence": divergence.detach()})
