"""Training on text: cross-entropy on the answers' tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.errors import BadInput, Problem
from potstill.models import turns
from potstill.models.chat import encode as encode_chat
from potstill.models.turns import LossOn
from potstill.trainers.language_models.base import CausalTraining, fit, prepare
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.context import set_up

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.chat import Messages
    from potstill.models.protocols import ModelSource, Tokenizer
    from potstill.trainers.language_models.architecture import Architecture
    from potstill.trainers.loop.examples import Example

Encode = Callable[[Any, "Messages", str], tuple[list[int], int]]
"""Returns a tokenizer's tokens of a prompt and its answer, and how many are the prompt's."""


class HardLabel(CausalTraining):
    """Train a student on the text in `output`, by cross-entropy over the answer's tokens.

    With a teacher's answers this is sequence-level distillation (Kim and Rush 2016, arXiv 1606.07947, section 3.2). It
    asks nothing of the vocabularies.

    >>> rows = LoadRows([{"instruction": "turn on the lamp", "output": "on"}])
    >>> show(HardLabel(rows, student=student, epochs=1))
    {'parameters': 1049984, 'zeros': 0.0, 'bits': 16}
    """

    version: ClassVar[int] = 2  # logits are made in chunks
    unkeyed_defaults: ClassVar[frozenset[str]] = frozenset({"loss_on"})

    _: KW_ONLY
    loss_on: LossOn = "last"
    """Which turns of a conversation are learned: the `last` answer, those of the `assistant`, or `all` with what is
    between them. For causal models; the rows' `prompt` is then a template of conversations, `chat.jinja`."""

    def run(self, rows: Dataset, student: ModelSource, context: Context, *, validation: Dataset | None = None) -> Path:
        """Train the student on `rows` and write its folder."""
        return learn_answers(self, rows, student, context, validation, loss_on=self.loss_on)


def learn_answers(
    step: CausalTraining,
    rows: Dataset,
    student: ModelSource,
    context: Context,
    validation: Dataset | None,
    *,
    loss_on: LossOn,
) -> Path:
    """Train the student on the text of the turns asked for, and write its folder.

    Raises:
        BadInput: the student can't learn these turns, or there are no rows to learn from.
    """
    from potstill.trainers.language_models.architecture import architecture_of
    from potstill.trainers.language_models.chunked_losses import before_the_output_layer, hard_objective

    folder = students.folder_of(student)
    architecture = architecture_of(folder)
    check_loss_on(loss_on, architecture)

    def example_of(row: Mapping[str, Any], tokenizer: Tokenizer) -> Example | str:
        return text_example(row, tokenizer, step.prompt, architecture.encode, loss_on)

    with set_up(step, {"rows": rows, "student": student}, context, validation) as training:
        prepared = prepare(step, rows, folder, training, example_of)
        reading = before_the_output_layer(prepared.reading)
        return fit(step, replace(prepared, reading=reading), hard_objective, training)


def check_loss_on(loss_on: LossOn, architecture: Architecture) -> None:
    """Check that a student can learn the turns asked for.

    Raises:
        BadInput: it is an encoder-decoder, which reads a conversation and writes its answer alone.
    """
    from potstill.trainers.language_models.architecture import CAUSAL_MODEL

    if loss_on != "last" and architecture is not CAUSAL_MODEL:
        raise BadInput(Problem("", "loss_on", f"is {loss_on!r}, for causal models; {architecture.name} takes 'last'"))


def text_example(
    row: Mapping[str, Any], tokenizer: Tokenizer, prompt: str, encode: Encode = encode_chat, loss_on: LossOn = "last"
) -> Example | str:
    """Return the tokens of a row's prompt, answer and end, or why they can't be trained on."""
    import numpy as np

    from potstill.prompts import answer_of, render
    from potstill.trainers.loop.examples import Example

    output = answer_of(prompt, row)
    if output is None or not output.strip():
        return "no output"
    if row.get("finish_reason") == "length":
        return "the answer was cut at the teacher's token limit"
    if loss_on == "last":
        ids, length = encode(tokenizer, render(prompt, row), output)
        return Example(ids, length)
    ids, length, learned = turns.encode(tokenizer, render(prompt, row), output, loss_on)
    return Example(ids, length, learned=np.array(learned))
