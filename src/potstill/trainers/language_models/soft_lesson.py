"""Learning from a teacher's distributions: the fields of such trainers, and the way from rows to a loss.

Such a trainer takes `SoftFields` beside the base of its family, and passes itself as `how` to the functions here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Interval

from potstill.errors import BadInput, Problem
from potstill.models.card import name_of
from potstill.models.edge import Model
from potstill.models.loading import config_of
from potstill.models.turns import LossOn
from potstill.prompts import answer_columns
from potstill.teachers.cache.soft_labels import TOP_COLUMNS, teacher_digest
from potstill.trainers.language_models import vocabulary_check
from potstill.trainers.language_models.base import CHUNK_TOKENS, CausalTraining, ExampleOf, Lesson, prepare
from potstill.trainers.language_models.divergence import BETA, SKEW, Divergence
from potstill.trainers.language_models.divergence import Name as DivergenceName
from potstill.trainers.language_models.hard_label import check_loss_on, text_example
from potstill.trainers.language_models.stored_labels import Kind, StoredLabels, kind_of
from potstill.trainers.loop import student_model as students

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.models.protocols import ModelSource, Tokenizer
    from potstill.trainers.language_models.architecture import Architecture
    from potstill.trainers.language_models.base import Prepared
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


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SoftFields:
    """How a student is compared with its teacher; fields only, no step."""

    unkeyed: ClassVar[frozenset[str]] = CausalTraining.unkeyed | {"chunk_tokens"}
    unkeyed_defaults: ClassVar[frozenset[str]] = frozenset({"loss_on"})

    teacher: Model | None = None
    """Model to compare with where the rows hold no soft labels, and whose vocabulary is checked: a teacher, a step, a
    folder or a Hub id."""
    alpha: Annotated[float, Interval(ge=0, le=1)] = 0.5
    """Weight of the divergence from the teacher; cross-entropy on the text has 1 - alpha."""
    temperature: Annotated[float, Gt(0)] = 1.0
    """Softens both distributions; with stored top-k soft labels it must be 1. The loss is multiplied by its square, by
    itself for `total_variation` and `uld`, to keep the scale of the gradient."""
    divergence: DivergenceName = "forward_kl"
    """Divergence of the distributions. Forward KL makes the student cover all that the teacher finds likely,
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
    """Tokens whose logits are in memory at once: sets the memory, not the result."""

    def distance(self) -> Divergence:
        """Return the divergence of the distributions."""
        return Divergence(self.divergence, self.beta, self.skew)

    def soft_columns(self, prompt: str) -> tuple[str, ...]:
        """Return the columns that rows must have: without a teacher its distributions too."""
        needed = answer_columns(prompt)
        return needed if self.teacher is not None else (*needed, *TOP_COLUMNS)

    def soft_recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        return {"alpha": self.alpha, "temperature": self.temperature, **self.distance().recipe()}


def soft_problems(how: SoftFields, student: object) -> Iterator[Problem]:
    """Yield what is wrong with the parameters, and with the vocabularies where both are at hand."""
    if how.temperature != 1 and how.teacher is None:
        yield Problem("", "temperature", f"is {how.temperature:g} without a teacher: {WHY_NOT_SOFTENED}")
    if how.divergence != "forward_kl" and how.teacher is None:
        yield Problem("", "divergence", f"is {how.divergence} without a teacher: {WHY_FORWARD_KL}; {REMEDY}")
    yield from how.distance().problems(how.temperature)
    if how.loss_on != "last" and how.divergence == "uld":
        yield Problem("", "loss_on", f"is {how.loss_on!r}, but uld pairs the tokens of one answer: take 'last'")
    if not how.distance().one_vocabulary:
        return
    folders = [vocabulary_check.plain_folder(model) for model in (how.teacher, student)]
    vocabularies = [vocabulary_check.vocabulary_of(folder) if folder else None for folder in folders]
    if vocabularies[0] is not None and vocabularies[1] is not None:
        names = (name_of(str(folders[0])), name_of(str(folders[1])))
        paddings = [vocabulary_check.padding_in(folder) if folder else None for folder in folders]
        message = vocabulary_check.difference(
            vocabularies[0], vocabularies[1], names=names, paddings=(paddings[0], paddings[1])
        )
        if message:
            yield Problem("", "student", message)


def soft_lesson(
    step: CausalTraining,
    rows: Dataset,
    student: ModelSource,
    teacher: ModelSource | None,
    context: TrainingContext,
    *,
    how: SoftFields,
) -> Lesson:
    """Return the tokenized rows with how the student reads them, and the objective.

    Raises:
        BadInput: the teacher's distributions are missing, or don't go with the student.
    """
    from potstill.trainers.language_models.soft_objective import SoftObjective

    kind = kind_of(rows.column_names)
    check_source(how, kind, teacher)
    folder = students.folder_of(student)
    architecture = _architecture(how, folder, teacher, kind)
    size = check_vocabulary(folder, teacher if how.distance().one_vocabulary else None)
    expected = "" if teacher is None or not kind else teacher_digest(teacher)
    stored = StoredLabels(students.load_tokenizer(folder), step.prompt, size, expected, context)
    example_of = _from_text(how, step.prompt, teacher, architecture)
    prepared = prepare(step, rows, folder, context, _from_stored(stored) if kind else example_of)
    context.notes["soft_labels"] = {"top": "stored", "hidden": "hidden states", "": "live"}[kind]
    answer = _answering(how, kind, prepared, teacher, stored, split=step.sharding)
    objective = SoftObjective(how.alpha, how.temperature, how.distance(), answer, how.chunk_tokens)
    return replace(prepared, reading=_reading(how, prepared.reading)), objective


def _architecture(how: SoftFields, student: Path, teacher: ModelSource | None, kind: Kind) -> Architecture:
    """Return what kind of model the student is.

    Raises:
        BadInput: it can't learn from this teacher.
    """
    from potstill.trainers.language_models.architecture import ENCODER_DECODER, architecture_of, check_alike

    architecture = architecture_of(student)
    check_loss_on(how.loss_on, architecture)
    check_alike(student, teacher, kind)
    if architecture is ENCODER_DECODER and not how.distance().one_vocabulary:
        raise BadInput("uld pairs the tokens of causal models; for encoder-decoders take SequenceLevel")
    return architecture


def _from_stored(stored: StoredLabels) -> ExampleOf:
    """Return a function that tokenizes a row with soft labels."""
    return lambda row, tokenizer: stored.example(row)


def _from_text(how: SoftFields, prompt: str, teacher: ModelSource | None, architecture: Architecture) -> ExampleOf:
    """Return a function that tokenizes a row for a live teacher."""
    from potstill.trainers.language_models.cross_tokenizer import with_partner

    partner = None
    if teacher is not None and not how.distance().one_vocabulary:
        partner = with_partner(students.folder_of(teacher), prompt)

    def example_of(row: Mapping[str, Any], tokenizer: Tokenizer) -> Example | str:
        example = text_example(row, tokenizer, prompt, architecture.encode, how.loss_on)
        return example if partner is None else partner(row, example)

    return example_of


def _answering(
    how: SoftFields,
    kind: Kind,
    prepared: Prepared,
    teacher: ModelSource | None,
    stored: StoredLabels,
    *,
    split: bool,
) -> Teacher | None:
    """Return the function of a batch to the teacher's logits; None where the rows hold its distributions."""
    from potstill.trainers.language_models.cross_tokenizer import live_partner
    from potstill.trainers.language_models.soft_objective import from_states, live

    if kind == "top":
        return None
    assert teacher is not None  # `check_source` has asked for one
    if kind == "hidden":
        return from_states(students.folder_of(teacher), *stored.dtypes)
    if not how.distance().one_vocabulary:
        return live_partner(teacher, split=split)
    return live(teacher, prepared.reading, split=split)


def _reading(how: SoftFields, whole: Reading) -> Reading:
    """Return how the student reads a batch: as in `whole`, but for the output layer."""
    from potstill.trainers.language_models.chunked_losses import before_the_output_layer
    from potstill.trainers.language_models.cross_tokenizer import in_pairs

    reading = before_the_output_layer(whole)
    return reading if how.distance().one_vocabulary else in_pairs(reading)


def check_source(how: SoftFields, kind: Kind, teacher: ModelSource | None) -> None:
    """Check that the teacher's distributions are available for the divergence.

    Raises:
        BadInput: they are not.
    """
    if kind == "top" and how.temperature != 1:
        raise BadInput(f"temperature is {how.temperature:g}, but {WHY_NOT_SOFTENED}: set temperature=1, or {REMEDY}")
    if kind == "top" and how.divergence != "forward_kl":
        raise BadInput(f"divergence is {how.divergence}, but {WHY_FORWARD_KL}: set forward_kl, or {REMEDY}")
    if kind == "hidden" and how.divergence == "uld":
        raise BadInput(
            "divergence is uld, for a teacher that reads its own tokens, but the rows hold its hidden states at "
            "the student's: set another divergence, or take rows without soft labels"
        )
    if kind == "hidden" and teacher is None:
        raise BadInput(
            "the rows hold the teacher's last hidden states, from which only its output layer makes distributions: "
            "give teacher="
        )
    if kind and how.loss_on != "last":
        raise BadInput(
            f"loss_on is {how.loss_on!r}, but the rows hold soft labels, which are of the last answer: take "
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


def check_vocabulary(student: Path, teacher: ModelSource | None) -> int:
    """Return the size of the student's output layer; its vocabulary must be the teacher's, if there is one.

    Raises:
        BadInput: the vocabularies differ.
    """
    if teacher is not None:
        folder = students.folder_of(teacher)
        teacher_vocabulary, student_vocabulary = (
            students.load_tokenizer(each).get_vocab() for each in (folder, student)
        )
        names = (name_of(folder), name_of(student))
        paddings = (vocabulary_check.padding_in(folder), vocabulary_check.padding_in(student))
        message = vocabulary_check.difference(teacher_vocabulary, student_vocabulary, names=names, paddings=paddings)
        if message:
            raise BadInput(message)
    return int(config_of(student).get_text_config().vocab_size)
