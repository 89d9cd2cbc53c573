"""Training on a teacher's distributions: stored top-k log-probabilities, or the teacher itself beside the student."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Gt, Interval

from potstill.errors import BadInput, Problem
from potstill.step import Model
from potstill.trainers import student as students
from potstill.trainers import vocabulary
from potstill.trainers.hard import text_example
from potstill.trainers.training import Training, fit, prepare

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor

    from potstill.context import Context
    from potstill.trainers.examples import Example

COLUMNS = ("teacher_token_ids", "teacher_top_ids", "teacher_top_logprobs")
"""Columns with soft labels, as PseudoLabel(top_k=...) makes them."""
WHY_NOT_SOFTENED = (
    "stored top-k log-probabilities hold at temperature 1 only, because softening them takes the normalizer over the "
    "whole vocabulary, which is not stored"
)


class SoftLabel(Training):
    """Train a student on a teacher's next-token distributions, mixed with the text.

    The loss of a token is alpha * temperature^2 * KL(teacher || student) + (1 - alpha) * cross-entropy (Hinton et al.
    2015, arXiv 1503.02531, section 2; token by token: Kim and Rush 2016, arXiv 1606.07947, section 3.1). Rows that
    carry soft labels are trained on those, over the kept entries and one bucket for the rest; for other rows `teacher`
    is loaded beside the student and reads the student's tokens. Teacher and student must share one vocabulary.
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
        return {"rows": ("output",) if self.teacher is not None else ("output", *COLUMNS)}

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
        stored = set(COLUMNS) <= set(rows.column_names)
        self._check_source(stored, teacher)
        folder = students.folder_of(student)
        size = check_vocabulary(folder, teacher)

        def example_of(row: Mapping[str, Any], tokenizer: Any) -> Example | str:
            if stored:
                return soft_example(row, tokenizer, self.prompt, size)
            return text_example(row, tokenizer, self.prompt)

        prepared = prepare(self, rows, folder, context, example_of)
        context.notes["soft_labels"] = "stored" if stored else "live"
        live = None if stored else load_teacher(teacher)
        return fit(self, prepared, SoftObjective(self.alpha, self.temperature, live), context)

    def _check_source(self, stored: bool, teacher: Any) -> None:
        """Check that the distributions asked for can be had.

        Raises:
            BadInput: they can't.
        """
        if stored and self.temperature != 1:
            raise BadInput(
                f"temperature is {self.temperature:g}, but {WHY_NOT_SOFTENED}: set temperature=1, or take rows without "
                "soft labels, PseudoLabel(top_k=0), and give teacher= to compare with the teacher itself"
            )
        if not stored and teacher is None:
            raise BadInput(
                "the rows hold no soft labels and there is no teacher: make them with PseudoLabel(top_k=32), or give "
                "teacher= to compare with the teacher itself"
            )
        if not stored and getattr(teacher, "system", None):
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


def soft_example(row: Mapping[str, Any], tokenizer: Any, prompt: str, vocabulary_size: int) -> Example | str:
    """Return the tokens of a row's chat and of the teacher's answer, with the teacher's distribution at each of these.

    The targets are the tokens that the teacher wrote, not its text tokenized anew, so that they align.

    Raises:
        BadInput: the soft labels are of unequal lengths, or of a larger vocabulary.
    """
    import numpy as np

    from potstill.chat import prompt_ids
    from potstill.prompts import render
    from potstill.trainers.examples import Example

    if not row["teacher_token_ids"] or not row["teacher_top_ids"] or not row["teacher_top_logprobs"]:
        return "no soft labels"
    if row.get("finish_reason") == "length":
        return "the answer was cut at the teacher's token limit"
    name = f"row {row.get('id', '')!r}"
    try:
        targets = np.asarray(row["teacher_token_ids"], dtype=np.int32)
        top_ids = np.asarray(row["teacher_top_ids"], dtype=np.int32)
        top_logprobs = np.asarray(row["teacher_top_logprobs"], dtype=np.float32)
    except ValueError as error:
        raise BadInput(f"{name}: its soft labels are no T by K table ({error}): make them anew") from error
    if top_ids.shape != top_logprobs.shape or top_ids.ndim != 2 or len(top_ids) != len(targets):
        shapes = f"{targets.shape}, {top_ids.shape} and {top_logprobs.shape}"
        raise BadInput(f"{name}: {', '.join(COLUMNS)} have shapes {shapes}, which must be (T,), (T, K) and (T, K)")
    largest = max(int(top_ids.max()), int(targets.max()))
    if largest >= vocabulary_size:
        raise BadInput(
            f"{name}: its soft labels hold token {largest}, the student knows {vocabulary_size}: {vocabulary.REMEDY}"
        )
    prompt_tokens = prompt_ids(tokenizer, render(prompt, row))
    return Example([*prompt_tokens, *targets.tolist()], len(prompt_tokens), top_ids, top_logprobs)


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

    def __call__(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss [N] of the targets from the student's logits [N, V]."""
        from potstill.trainers.losses import cross_entropy, topk_tail_divergence

        text = (1 - self.alpha) * cross_entropy(logits, batch["labels"]) if self.alpha < 1 else 0.0
        if self.teacher is not None:
            divergence = self._live(logits, batch)
        else:
            divergence = topk_tail_divergence(logits, batch["teacher_ids"], batch["teacher_logprobs"])
        return self.alpha * self.temperature**2 * divergence + text

    def _live(self, logits: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the divergence [N] from what the teacher says to the same tokens."""
        import torch

        from potstill.trainers.examples import target_logits
        from potstill.trainers.losses import forward_kl

        with torch.no_grad():
            teacher = target_logits(self.teacher, batch)
        # output layers may be padded to different sizes beyond the one vocabulary; cut before normalizing
        shared = min(logits.shape[-1], teacher.shape[-1])
        return forward_kl(logits[:, :shared], teacher[:, :shared], self.temperature)
