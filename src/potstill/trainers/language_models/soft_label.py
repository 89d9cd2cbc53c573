"""Training on a teacher's distributions: stored top-k log-probabilities, or the teacher itself beside the student."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Interval

from potstill.engine.step import Model
from potstill.errors import BadInput, Problem
from potstill.models.card import name_of
from potstill.models.turns import LossOn
from potstill.prompts import answer_columns
from potstill.teachers.cache.soft_labels import TOP_COLUMNS, teacher_digest
from potstill.trainers.language_models import vocabulary_check
from potstill.trainers.language_models.base import CausalTraining, Lesson, fit, prepare
from potstill.trainers.language_models.divergence import BETA, SKEW, Divergence
from potstill.trainers.language_models.divergence import Name as DivergenceName
from potstill.trainers.language_models.hard_label import CHUNK_TOKENS, check_loss_on, text_example
from potstill.trainers.language_models.stored_labels import Kind, StoredLabels, kind_of
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.context import set_up

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.trainers.language_models.architecture import Architecture
    from potstill.trainers.language_models.soft_objective import Teacher
    from potstill.trainers.loop.context import TrainingContext
    from potstill.trainers.loop.examples import Example
    from potstill.trainers.loop.schedule import Reading

WHY_NOT_SOFTENED = (
    "stored top-k log-probabilities hold at temperature 1 only, because softening them takes the normalizer over the "
    "whole vocabulary, which is not stored"
)
WHY_FORWARD_KL = (
    "stored top-k log-probabilities allow forward_kl only, because every other divergence takes the teacher's "
    "probability of what the student finds likely, which may not be stored"
)
REMEDY = (
    "take rows without soft labels, PseudoLabel(top_k=0), and give teacher= to compare with the teacher itself, or "
    'store exact ones with SoftLabels(mode="hidden")'
)


class SoftLabel(CausalTraining):
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

    unkeyed: ClassVar[frozenset[str]] = CausalTraining.unkeyed | {"chunk_tokens"}
    unkeyed_defaults: ClassVar[frozenset[str]] = frozenset({"loss_on"})

    _: KW_ONLY
    teacher: Model | None = None
    """Model to compare with where the rows hold no soft labels, and whose vocabulary is checked: a teacher, a step, a
    folder or a Hub id."""
    alpha: Annotated[float, Interval(ge=0, le=1)] = 0.5
    """Weight of the teacher's distribution; the rest is the text's."""
    temperature: Annotated[float, Gt(0)] = 1.0
    """Softens both distributions; with stored top-k soft labels it must be 1. The loss is multiplied by its square, by
    itself for `total_variation` and `uld`: so much the gradient shrinks."""
    divergence: DivergenceName = "forward_kl"
    """How to tell the distributions apart. Forward KL makes the student cover all that the teacher finds likely,
    reverse KL keep to some of it; the others lie between them, or are bounded. Stored top-k soft labels take
    `forward_kl`. For another vocabulary there is `uld`: the teacher reads the row in its own tokens, and the n-th of
    the answer is compared with the student's n-th, by sorted probabilities (Boizard et al. 2024, arXiv 2402.12030)."""
    beta: Annotated[float, Interval(ge=0, le=1)] = BETA
    """Of `jensen_shannon`: the teacher's share of the mixture. 0 is forward KL, 1 reverse KL, as in trl; 0.5 treats
    both alike."""
    skew: Annotated[float, Interval(ge=0, lt=1)] = SKEW
    """Of `skew_kl` and `skew_reverse_kl`: how much of the first distribution is mixed into the second; 0.1 as in the
    paper (Ko et al. 2024, arXiv 2402.03898)."""
    loss_on: LossOn = "last"
    """Which turns of a conversation are learned: the `last` answer, those of the `assistant`, or `all` with what is
    between them. Other than the last take a teacher beside the student: stored soft labels are of the last answer."""
    chunk_tokens: Annotated[int, Ge(1)] = CHUNK_TOKENS
    """Tokens whose logits are there at once: sets the memory, not the result."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the rows must have."""
        needed = answer_columns(self.prompt)
        return {"rows": needed if self.teacher is not None else (*needed, *TOP_COLUMNS)}

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters, and with the vocabularies where both are at hand."""
        yield from super().check()
        if self.temperature != 1 and self.teacher is None:
            yield Problem("", "temperature", f"is {self.temperature:g} without a teacher: {WHY_NOT_SOFTENED}")
        if self.divergence != "forward_kl" and self.teacher is None:
            yield Problem("", "divergence", f"is {self.divergence} without a teacher: {WHY_FORWARD_KL}; {REMEDY}")
        yield from self._divergence().problems(self.temperature)
        if self.loss_on != "last" and self.divergence == "uld":
            yield Problem("", "loss_on", f"is {self.loss_on!r}, but uld pairs the tokens of one answer: take 'last'")
        if not self._divergence().one_vocabulary:
            return
        folders = [vocabulary_check.plain_folder(model) for model in (self.teacher, self.student)]
        known = [vocabulary_check.vocabulary_of(folder) if folder else None for folder in folders]
        if known[0] is not None and known[1] is not None:
            names = (name_of(str(folders[0])), name_of(str(folders[1])))
            message = vocabulary_check.difference(known[0], known[1], names=names)
            if message:
                yield Problem("", "student", message)

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        return {
            **super().recipe(),
            "alpha": self.alpha,
            "temperature": self.temperature,
            **self._divergence().recipe(),
        }

    def run(
        self, rows: Dataset, student: Any, teacher: Any, context: Context, *, validation: Dataset | None = None
    ) -> Path:
        """Train the student on `rows` and write its folder."""
        inputs = {"rows": rows, "student": student, "teacher": teacher}
        with set_up(self, inputs, context, validation) as training:
            return fit(self, *self.lesson(rows, student, teacher, training))

    def lesson(self, rows: Dataset, student: Any, teacher: Any, context: TrainingContext) -> Lesson:
        """Return the rows in tokens, what is minimised, the surroundings, and how the student reads.

        Raises:
            BadInput: the teacher's distributions can't be had, or don't go with the student.
        """
        from potstill.trainers.language_models.architecture import ENCODER_DECODER, architecture_of, check_alike
        from potstill.trainers.language_models.cross_tokenizer import with_partner
        from potstill.trainers.language_models.soft_objective import SoftObjective

        kind, alike = kind_of(rows.column_names), self._divergence().one_vocabulary
        self._check_source(kind, teacher)
        folder = students.folder_of(student)
        check_loss_on(self.loss_on, architecture_of(folder))
        check_alike(folder, teacher, kind)
        architecture = architecture_of(folder)
        if architecture is ENCODER_DECODER and not alike:
            raise BadInput("uld pairs the tokens of causal models; for encoder-decoders take SequenceLevel")
        size = check_vocabulary(folder, teacher if alike else None)
        expected = "" if teacher is None or not kind else teacher_digest(teacher)
        stored = StoredLabels(students.load_tokenizer(folder), self.prompt, size, expected, context)
        partner = None if alike else with_partner(students.folder_of(teacher), self.prompt)

        def example_of(row: Mapping[str, Any], tokenizer: Any) -> Example | str:
            if kind:
                return stored.example(row)
            made = text_example(row, tokenizer, self.prompt, architecture.encode, self.loss_on)
            return made if partner is None else partner(row, made)

        prepared = prepare(self, rows, folder, context, example_of)
        context.notes["soft_labels"] = {"top": "stored", "hidden": "hidden states", "": "live"}[kind]
        answer = self._teacher(kind, folder, teacher, stored)
        objective = SoftObjective(self.alpha, self.temperature, self._divergence(), answer, self.chunk_tokens)
        return prepared, objective, context, lambda model: self._reading(architecture, model.config)

    def _divergence(self) -> Divergence:
        """Return how the distributions are told apart."""
        return Divergence(self.divergence, self.beta, self.skew)

    def _teacher(self, kind: Kind, student: Path, teacher: Any, stored: StoredLabels) -> Teacher | None:
        """Return what the teacher says to a batch, if the rows don't hold all of it."""
        from potstill.trainers.language_models.architecture import architecture_of
        from potstill.trainers.language_models.cross_tokenizer import live_partner
        from potstill.trainers.language_models.soft_objective import from_states, live

        if kind == "top":
            return None
        if kind == "hidden":
            return from_states(students.folder_of(teacher), *stored.dtypes)
        if not self._divergence().one_vocabulary:
            return live_partner(teacher)
        return live(teacher, architecture_of(student).reading_of(student))

    def _reading(self, architecture: Architecture, config: Any) -> Reading:
        """Return how the student reads a batch."""
        from potstill.trainers.language_models.cross_tokenizer import in_pairs
        from potstill.trainers.language_models.lazy_logits import before_the_output_layer

        reading = before_the_output_layer(architecture.reading(config))
        return reading if self._divergence().one_vocabulary else in_pairs(reading)

    def _check_source(self, kind: Kind, teacher: Any) -> None:
        """Check that the distributions asked for can be had.

        Raises:
            BadInput: they can't.
        """
        if kind == "top" and self.temperature != 1:
            raise BadInput(
                f"temperature is {self.temperature:g}, but {WHY_NOT_SOFTENED}: set temperature=1, or {REMEDY}"
            )
        if kind == "top" and self.divergence != "forward_kl":
            raise BadInput(f"divergence is {self.divergence}, but {WHY_FORWARD_KL}: set forward_kl, or {REMEDY}")
        if kind == "hidden" and self.divergence == "uld":
            raise BadInput(
                "divergence is uld, for a teacher that reads its own tokens, but the rows hold its hidden states at "
                "the student's: set another divergence, or take rows without soft labels"
            )
        if kind == "hidden" and teacher is None:
            raise BadInput(
                "the rows hold the teacher's last hidden states, from which only its output layer makes distributions: "
                "give teacher="
            )
        if kind and self.loss_on != "last":
            raise BadInput(
                f"loss_on is {self.loss_on!r}, but the rows hold soft labels, which are of the last answer: take "
                "'last', or give teacher= and rows without soft labels"
            )
        if not kind and teacher is None:
            raise BadInput(
                "the rows hold no soft labels and there is no teacher: make them with PseudoLabel(top_k=32), or give "
                "teacher= to compare with the teacher itself"
            )
        if not kind and getattr(teacher, "system", None):
            raise BadInput(
                "the teacher has a system prompt of its own, which the student's tokens don't hold: put it into the "
                "template's system block, or store soft labels with PseudoLabel(top_k=32)"
            )


def check_vocabulary(student: Path, teacher: Any) -> int:
    """Return the size of the student's output layer; its vocabulary must be the teacher's, if there is one.

    Raises:
        BadInput: the vocabularies differ.
    """
    from transformers import AutoConfig

    if teacher is not None:
        folder = students.folder_of(teacher)
        theirs, ours = (students.load_tokenizer(each).get_vocab() for each in (folder, student))
        message = vocabulary_check.difference(theirs, ours, names=(name_of(folder), name_of(student)))
        if message:
            raise BadInput(message)
    return int(AutoConfig.from_pretrained(student).vocab_size)
