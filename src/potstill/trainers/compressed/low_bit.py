"""Training of low-bit weights by the straight-through estimator: only the forward pass rounds.

The linear layers of the blocks round their weights in each forward pass; their real weights, in float32, get the
gradient. Embeddings, norms and head stay as they are. For decoders.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import Problem
from potstill.trainers.language_models.base import CausalTraining, fit, prepare
from potstill.trainers.language_models.hard_label import text_example
from potstill.trainers.language_models.soft_lesson import SoftFields, soft_lesson, soft_problems
from potstill.trainers.language_models.stored_labels import kind_of
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.context import set_up

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import nn

    from potstill.compression.pretrained import PretrainedModel
    from potstill.compression.quantization.rounding import Quantized
    from potstill.compression.quantization.straight_through import FakeQuantization
    from potstill.engine.context import Context
    from potstill.models.protocols import Tokenizer
    from potstill.trainers.loop.examples import Example
    from potstill.trainers.loop.objective import Objective
    from potstill.trainers.loop.schedule import Schedule

SCALE_BITS = 16
"""Bits of a stored scale."""
TRITS = math.log2(3)
"""Bits of a ternary value: log2(3)."""


def low_bit_problems(step: CausalTraining, how: SoftFields) -> Iterator[Problem]:
    """Yield what is wrong with the parameters of a trainer of low-bit weights, beyond the checks of any trainer."""
    yield from soft_problems(how, step.student)
    if step.adapter() is not None:
        text = "adapters can't be merged into weights of few bits: train without lora and qlora"
        yield Problem("", "lora" if step.lora is not None else "qlora", text)
    if step.sharding:
        yield Problem("", "sharding", "splits a weight, whose scale needs all of it: leave sharding out")


def train_in_few_bits(
    step: CausalTraining,
    inputs: Mapping[str, Any],
    context: Context,
    validation: Dataset | None,
    *,
    how: SoftFields,
) -> Path:
    """Train the student of `inputs` on its rows with the fake quantization of `step`, and write its folder.

    Without a `teacher` and without soft labels in the rows the loss is cross-entropy on `output`; with one of them it
    is that of `SoftLabel`.

    Raises:
        BadInput: the student's architecture isn't known, or the teacher's distributions don't go with it.
    """
    from potstill.trainers.language_models.chunked_losses import hard_objective

    rows, student, teacher = inputs["rows"], inputs["student"], inputs["teacher"]

    def example_of(row: Mapping[str, Any], tokenizer: Tokenizer) -> Example | str:
        return text_example(row, tokenizer, step.prompt, loss_on=how.loss_on)

    with set_up(step, inputs, context, validation) as training:
        if teacher is not None or kind_of(rows.column_names):
            return fit(step, *soft_lesson(step, rows, student, teacher, training, how=how), training)
        prepared = prepare(step, rows, students.folder_of(student), training, example_of)
        return fit(step, prepared, hard_objective, training)


@dataclass
class LowBit:
    """Low-bit weights as the `Form` of a training."""

    fake: FakeQuantization
    """What the layers compute with."""
    bits: float
    """Bits of a weight when it is packed, without scales."""
    quantized: dict[str, Quantized] = field(default_factory=dict)
    """After training: the weights by path."""

    def begin(self, model: PretrainedModel, objective: Objective, schedule: Schedule, targets: int) -> Objective:
        """Put fake quantization into the linear layers of the blocks.

        Raises:
            BadInput: the architecture is unknown.
        """
        from potstill.compression.architecture import with_linear_layers

        # GPT-2's Conv1D becomes Linear, whose rows are output channels: each has its own scale
        with_linear_layers(model)
        self.fake.begin(self.layers(model).values())
        return objective

    def layers(self, model: PretrainedModel) -> dict[str, nn.Linear]:
        """Return the layers that get few bits, by path."""
        from potstill.compression.layerwise import block_layers

        return block_layers(model)

    def end(self, model: PretrainedModel, context: Context) -> None:
        """Replace the weights by their rounded values."""
        from potstill.compression.architecture import with_own_layers
        from potstill.compression.quantization.straight_through import settle

        self.quantized = settle(self.layers(model), self.fake.quantize)
        context.notes["low_bit"] = stored_size(self.quantized, self.bits)
        with_own_layers(model)

    def publish(self, folder: Path, context: Context) -> None:
        """Leave the folder: a dense one, whose weights are a scale times few values."""


def stored_size(quantized: Mapping[str, Quantized], bits: float) -> dict[str, float]:
    """Return the size of the blocks' weights as stored, in 16 bits, and as they could be packed."""
    weights = sum(weight.values.numel() for weight in quantized.values())
    scales = sum(weight.scale.numel() for weight in quantized.values())
    zeros = sum(int((weight.values == 0).sum()) for weight in quantized.values())
    return {
        "weights": weights,
        "bits": round(bits, 2),
        "bytes": 2 * weights,  # bfloat16, as the folder stores them
        "packed_bytes": math.ceil((bits * weights + SCALE_BITS * scales) / 8),
        "zeros": round(zeros / max(weights, 1), 4),
    }
