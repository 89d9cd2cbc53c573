"""Training on a teacher's distributions: stored top-k log-probabilities, or the teacher itself beside the student."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Gt, Interval

from potstill.errors import BadInput, Problem
from potstill.soft_labels import TOP_COLUMNS, teacher_digest
from potstill.step import Model
from potstill.trainers import student as students
from potstill.trainers import vocabulary
from potstill.trainers.causal import CausalTraining, fit, prepare
from potstill.trainers.hard import text_example
from potstill.trainers.stored import Kind, StoredLabels, kind_of

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor

    from potstill.context import Context
    from potstill.hidden_states import Head
    from potstill.trainers.examples import Example

WHY_NOT_SOFTENED = (
    "stored top-k log-probabilities hold at temperature 1 only, because softening them takes the normalizer over the "
    "whole vocabulary, which is not stored"
)


class SoftLabel(CausalTraining):
    """Train a student on a teacher's next-token distributions, mixed with the text.

    The loss of a token is alpha * temperature^2 * KL(teacher || student) + (1 - alpha) * cross-entropy (Hinton et al.
    2015, arXiv 1503.02531, section 2; token by token: Kim and Rush 2016, arXiv 1606.07947, section 3.1). Rows that
    carry soft labels are trained on those: top-k ones over the kept entries and one bucket for the rest, hidden states
    over the whole vocabulary. For other rows `teacher` is loaded beside the student and reads the student's tokens.
    Teacher and student must share one vocabulary; stored soft labels of another tokenizer or chat template are refused.
    """

    _: KW_ONLY
    teacher: Model | None = None
    """Model to compare with where the rows hold no soft labels, and whose vocabulary is checked: a teacher, a step, a
    folder or a Hub id."""
    alpha: Annotated[float, Interval(ge=0, le=1)] = 0.5
    """Weight of the teacher's distribution; the rest is the text's."""
    temperature: Annotated[float, Gt(0)] = 1.0
    """Softens both distributions; with stored soft labels it must be 1."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the rows must have."""
        return {"rows": ("output",) if self.teacher is not None else ("output", *TOP_COLUMNS)}

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters, and with the vocabularies where both are at hand."""
        yield from super().check()
        if self.temperature != 1 and self.teacher is None:
            yield Problem("", "temperature", f"is {self.temperature:g} without a teacher: {WHY_NOT_SOFTENED}")
        folders = [vocabulary.plain_folder(model) for model in (self.teacher, self.student)]
        known = [vocabulary.vocabulary_of(folder) if folder else None for folder in folders]
        if known[0] is not None and known[1] is not None:
            message = vocabulary.difference(known[0], known[1])
            if message:
                yield Problem("", "student", message)

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        return {**super().recipe(), "alpha": self.alpha, "temperature": self.temperature}

    def run(self, rows: Dataset, student: Any, teacher: Any, context: Context) -> Path:
        """Train the student on `rows` and write its folder."""
        kind = kind_of(rows.column_names)
        self._check_source(kind, teacher)
        folder = students.folder_of(student)
        size = check_vocabulary(folder, teacher)
        expected = "" if teacher is None or not kind else teacher_digest(teacher)
        stored = StoredLabels(students.load_tokenizer(folder), self.prompt, size, expected, context)

        def example_of(row: Mapping[str, Any], tokenizer: Any) -> Example | str:
            return stored.example(row) if kind else text_example(row, tokenizer, self.prompt)

        prepared = prepare(self, rows, folder, context, example_of)
        context.notes["soft_labels"] = {"top": "stored", "hidden": "hidden states", "": "live"}[kind]
        objective = SoftObjective(
            self.alpha,
            self.temperature,
            teacher=None if kind else load_teacher(teacher),
            head=load_head(students.folder_of(teacher), *stored.dtypes) if kind == "hidden" else None,
        )
        return fit(self, prepared, objective, context)

    def _check_source(self, kind: Kind, teacher: Any) -> None:
        """Check that the distributions asked for can be had.

        Raises:
            BadInput: they can't.
        """
        if kind == "top" and self.temperature != 1:
            raise BadInput(
                f"temperature is {self.temperature:g}, but {WHY_NOT_SOFTENED}: set temperature=1, or take rows without "
                "soft labels, PseudoLabel(top_k=0), and give teacher= to compare with the teacher itself, or store "
                'exact ones with SoftLabels(mode="hidden")'
            )
        if kind == "hidden" and teacher is None:
            raise BadInput(
                "the rows hold the teacher's last hidden states, from which only its output layer makes distributions: "
                "give teacher="
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
        theirs = students.load_tokenizer(students.folder_of(teacher)).get_vocab()
        message = vocabulary.difference(theirs, students.load_tokenizer(student).get_vocab())
        if message:
            raise BadInput(message)
    return int(AutoConfig.from_pretrained(student).vocab_size)


def load_head(folder: Path, dtype: str) -> Head:
    """Return the output layer of the teacher in `folder`, for hidden states of `dtype`."""
    from potstill.hidden_states import Head

    return Head.load(folder, dtype)


def load_teacher(teacher: Any) -> Any:
    """Return the teacher's model: in evaluation mode, without gradients, never quantized for speed."""
    import torch

    dtype = torch.bfloat16 if students.trains_in_bf16() else torch.float32
    model = students.load_model(students.folder_of(teacher), dtype).eval().requires_grad_(False)
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class SoftObjective:
    """alpha * temperature^2 * KL(teacher || student) + (1 - alpha) * cross-entropy, for each token."""

    alpha: float
    """Weight of the teacher's distribution."""
    temperature: float
    """Softens both distributions."""
    teacher: Any = None
    """The teacher's model, or None where the batches hold soft labels."""
    head: Head | None = None
    """The teacher's output layer, where the batches hold its hidden states."""

    def __call__(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss [N] of the targets from the student's logits [N, V]."""
        from potstill.trainers.losses import cross_entropy, topk_tail_divergence

        text = (1 - self.alpha) * cross_entropy(logits, batch["labels"]) if self.alpha < 1 else 0.0
        if self.teacher is not None or self.head is not None:
            divergence = self._dense(logits, batch)
        else:
            divergence = topk_tail_divergence(logits, batch["teacher_ids"], batch["teacher_logprobs"])
        return self.alpha * self.temperature**2 * divergence + text

    def _dense(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the divergence [N] from what the teacher says to the same tokens."""
        import torch

        from potstill.trainers.examples import target_logits
        from potstill.trainers.losses import forward_kl

        with torch.no_grad():
            if self.head is not None:
                teacher = self.head.logits(batch["teacher_hidden"])
            else:
                teacher = target_logits(self.teacher, batch)
        # output layers may be padded to different sizes beyond the one vocabulary; cut before normalizing
        shared = min(logits.shape[-1], teacher.shape[-1])
        return forward_kl(logits[:, :shared], teacher[:, :shared], self.temperature)
