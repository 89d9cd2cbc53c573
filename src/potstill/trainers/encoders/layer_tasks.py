"""The tasks of `LayerMatch`: how rows are read, and by which models.

Shapes: B rows, T tokens, N targets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from potstill.models.card import Task
from potstill.trainers.encoders import base as classification
from potstill.trainers.encoders import class_teacher, masked_language_model
from potstill.trainers.encoders.base import ClassTraining, Prepared
from potstill.trainers.encoders.layer_objective import Seen, Weights
from potstill.trainers.encoders.text_batches import reading as plain
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.schedule import Reading
from potstill.trainers.loop.token_store import stored

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.compression.pretrained import PretrainedModel
    from potstill.trainers.loop.context import TrainingContext
    from potstill.trainers.loop.examples import Example


@dataclass(frozen=True)
class Sides:
    """Student and teacher, loaded, and how they read."""

    prepared: Prepared
    """The rows, and where the student came from."""
    student: Any
    """The model that learns."""
    teacher: Any
    """The model that it learns from."""
    ask: Callable[[Mapping[str, Tensor]], Any]
    """Returns the teacher's output for inputs."""
    targets: Callable[[Any, Seen], Tensor]
    """Returns the logits of the targets in it."""
    reading: Reading
    """How the student reads rows."""
    task: Task
    """The student's task, as the Hub calls it."""


@dataclass(frozen=True)
class Order:
    """The arguments of both tasks."""

    step: ClassTraining
    """The trainer."""
    rows: Dataset
    """Its rows."""
    student: Any
    """The student's folder or name."""
    teacher: Any
    """The teacher's."""
    weights: Weights
    """Weights of the parts of the loss."""
    context: TrainingContext
    """The context of its `run`."""

    @property
    def attention(self) -> str | None:
        """Return the implementation of attention that returns its maps, if they are compared."""
        return "eager" if self.weights.attention else None


def classify(order: Order) -> Sides:
    """Return both sides of a training of a classifier."""
    prepared = classification.prepare(order.step, order.rows, order.student, order.teacher, order.context)
    padding = prepared.padding
    model = classification.load(prepared.folder, prepared.names, padding, order.step.seed, order.attention)
    teacher = prepared.load_teacher(order.attention)
    assert teacher is not None
    wanted = order.weights.wanted()
    return Sides(
        prepared,
        model,
        teacher.model,
        ask=lambda inputs: teacher.output(inputs, **wanted),
        targets=lambda output, seen: teacher.sorted(output),
        reading=Reading(plain(padding).parts, partial(read_classes, wanted=wanted)),
        task="text-classification",
    )


def read_classes(model: PretrainedModel, batch: Mapping[str, Tensor], wanted: Mapping[str, bool]) -> Any:
    """Return the forward pass of a classifier on a micro-batch: a `Seen`, whose targets are the rows."""
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    output = model(**inputs, **wanted)
    rows = torch.arange(len(batch["labels"]), device=output.logits.device)
    return Seen(inputs, output, output.logits, batch["labels"], rows, torch.zeros_like(rows))


def fill_masks(order: Order) -> Sides:
    """Return both sides of a training of a masked language model."""
    folder, teacher_folder = students.folder_of(order.student), students.folder_of(order.teacher)
    tokenizer, teacher_tokenizer = students.load_tokenizer(folder), students.load_tokenizer(teacher_folder)
    class_teacher.check_tokens(tokenizer, teacher_tokenizer)
    masking = masked_language_model.Masking.of(tokenizer)
    limit = classification.longest(order.step.max_length, tokenizer, folder)
    limit = classification.longest(limit, teacher_tokenizer, teacher_folder)

    def example(row: Mapping[str, Any]) -> Example | str:
        text = row[order.step.text]
        if not isinstance(text, str):
            return "no text"
        return masked_language_model.example(
            tokenizer(text, truncation=True, max_length=limit)["input_ids"], masking.special
        )

    examples = stored(order.rows, example, order.context)
    prepared = Prepared(folder, tokenizer, examples, (), order.weights.alpha, teacher_folder)
    teacher, wanted = masked_language_model.load_teacher(teacher_folder, order.attention), order.weights.wanted()

    def ask(inputs: Mapping[str, Tensor]) -> Any:
        with torch.no_grad():
            return teacher(**inputs, **wanted)

    student = masked_language_model.load_student(folder, order.step.seed, order.attention)
    return Sides(prepared, student, teacher, ask, masking.targets, masking.reading(wanted), "fill-mask")


def sizes(model: PretrainedModel) -> tuple[int, int]:
    """Return a model's number of layers, and its width."""
    config = model.config.get_text_config()
    return int(config.num_hidden_layers), int(config.hidden_size)
