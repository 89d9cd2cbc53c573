"""Sequence classification: an encoder with a new head learns labels, and a teacher's probabilities of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.errors import Problem, RequestError
from potstill.models.edge import Model
from potstill.trainers.encoders.base import TWICE, ClassTraining, fit, load, prepare
from potstill.trainers.encoders.class_names import SOFT
from potstill.trainers.loop.context import set_up

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource
    from potstill.trainers.encoders.class_teacher import ClassTeacher
    from potstill.trainers.loop.context import TrainingContext
    from potstill.trainers.loop.objective import Losses


class Classifier(ClassTraining):
    """Train an encoder with a new head to classify texts; all weights are trained.

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
    student. Not together with a column `probabilities`, which holds a teacher's: one for each of the sorted classes, or
    by name; None in a row gives the label probability 1."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the rows must have."""
        return {"rows": class_columns(self, self.teacher)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> None:
        """Check that there is one teacher.

        Raises:
            RequestError: there are two.
        """
        check_one_teacher(self.teacher, inputs.get("rows"))

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        yield from teacher_problems(self, self.teacher)

    def run(
        self,
        rows: Dataset,
        student: ModelSource,
        context: Context,
        teacher: ModelSource | None = None,
        *,
        validation: Dataset | None = None,
    ) -> Path:
        """Train the student on `rows` and write its folder.

        Raises:
            BadInput: the student is no encoder that can be trained, or the labels make no classes.
        """
        inputs = {"rows": rows, "student": student, "teacher": teacher}
        with set_up(self, inputs, context, validation) as training:
            return learn_classes(self, rows, student, teacher, training)


def class_columns(step: ClassTraining, teacher: object) -> tuple[str, ...]:
    """Return the columns that the rows must have: text, the label unless alpha is 1, and stored probabilities."""
    stored = (SOFT,) if step.alpha and teacher is None else ()
    return (step.text, *(() if step.alpha == 1 else (step.label,)), *stored)


def check_one_teacher(teacher: object, columns: Collection[str] | None) -> None:
    """Check that rows with these `columns` don't hold another teacher's probabilities.

    Raises:
        RequestError: they do.
    """
    if teacher is not None and SOFT in (columns or ()):
        raise RequestError(Problem("", "teacher", TWICE))


def teacher_problems(step: ClassTraining, teacher: object) -> Iterator[Problem]:
    """Yield that a teacher has no weight."""
    if teacher is not None and step.alpha == 0:
        yield Problem("", "alpha", "is 0, so the teacher has no weight: raise it, or leave teacher= out")


def learn_classes(
    step: ClassTraining, rows: Dataset, student: ModelSource, teacher: ModelSource | None, context: TrainingContext
) -> Path:
    """Train the student on labels and the teacher's probabilities of them, and write its folder.

    Raises:
        BadInput: the student is no encoder that can be trained, or the labels make no classes.
    """
    from potstill.trainers.encoders.text_batches import reading

    prepared = prepare(step, rows, student, teacher, context)
    padding = prepared.padding
    model = load(prepared.folder, prepared.names, padding, step.seed)
    objective = ClassObjective(prepared.alpha, step.temperature, prepared.load_teacher())
    recipe = {"alpha": prepared.alpha, "temperature": step.temperature} if prepared.alpha else {}
    return fit(step, prepared, model, objective, reading(padding), recipe, context)


@dataclass(frozen=True)
class ClassObjective:
    """alpha * temperature^2 * KL(teacher || student) + (1 - alpha) * cross-entropy, for each row."""

    alpha: float
    """Weight of the teacher's probabilities."""
    temperature: float
    """Softens both distributions."""
    teacher: ClassTeacher | None = None
    """A live teacher; without one the batches hold its log-probabilities."""

    def __call__(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Losses:
        """Return both parts of the loss, and for each row whether student and teacher predict the same class."""
        from potstill.trainers.encoders.text_batches import label_loss
        from potstill.trainers.loop.objective import Losses
        from potstill.trainers.losses import agreement, forward_kl

        hard = (1 - self.alpha) * label_loss(logits, batch["labels"])
        if not self.alpha:
            return Losses({"hard": hard})
        # log p = z - logsumexp(z), and softmax(z / T) ignores a constant: softening log-probabilities is exact
        teacher_logits = batch["teacher_logprobs"] if self.teacher is None else self.teacher.logits(batch)
        divergence = forward_kl(logits, teacher_logits, self.temperature)
        same = agreement(logits.detach(), teacher_logits.argmax(dim=-1))
        parts = {"hard": hard, "soft": self.alpha * self.temperature**2 * divergence}
        return Losses(parts, {"agreement": same, "divergence": divergence.detach()})
