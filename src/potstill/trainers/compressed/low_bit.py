"""Training of weights of few bits: the forward pass rounds, the gradient passes straight through."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import Problem
from potstill.prompts import answer_columns
from potstill.trainers.language_models.base import fit, prepare
from potstill.trainers.language_models.hard_label import hard_objective, text_example
from potstill.trainers.language_models.soft_label import SoftLabel
from potstill.trainers.language_models.stored_labels import kind_of
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.context import set_up

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.compression.quantization.rounding import Quantized
    from potstill.compression.quantization.straight_through import FakeQuantization
    from potstill.engine.context import Context
    from potstill.trainers.loop.examples import Example
    from potstill.trainers.loop.objective import Objective
    from potstill.trainers.loop.schedule import Schedule

SCALE_BITS = 16
"""Bits of a stored scale."""
TRITS = math.log2(3)
"""Bits of a value out of three."""


class LowBitTraining(SoftLabel):
    """The fields of trainers whose student computes with weights of few bits from the first step on.

    The linear layers of the blocks round their weights in each forward pass; their real weights, in float32, get the
    gradient. Embeddings, norms and head stay as they are. Without a `teacher` and without soft labels in the rows the
    loss is cross-entropy on `output`; with one of them it is that of `SoftLabel`. For decoders.
    """

    def needs(self) -> Mapping[str, tuple[str, ...]]:
        """Return the columns that the rows must have."""
        return {"rows": answer_columns(self.prompt)}

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        if self.adapter() is not None:
            text = "adapters can't be merged into weights of few bits: train without lora and qlora"
            yield Problem("", "lora" if self.lora is not None else "qlora", text)
        if self.sharding:
            yield Problem("", "sharding", "splits a weight, whose scale needs all of it: leave sharding out")

    def run(
        self, rows: Dataset, student: Any, teacher: Any, context: Context, *, validation: Dataset | None = None
    ) -> Path:
        """Train the student on `rows` and write its folder.

        Raises:
            BadInput: the student's architecture isn't known, or the teacher's distributions don't go with it.
        """

        def example_of(row: Mapping[str, Any], tokenizer: Any) -> Example | str:
            return text_example(row, tokenizer, self.prompt, loss_on=self.loss_on)

        inputs = {"rows": rows, "student": student, "teacher": teacher}
        with set_up(self, inputs, context, validation) as training:
            if teacher is not None or kind_of(rows.column_names):
                return fit(self, *self.lesson(rows, student, teacher, training))
            prepared = prepare(self, rows, students.folder_of(student), training, example_of)
            return fit(self, prepared, hard_objective, training)


@dataclass
class LowBit:
    """Weights of few bits as the `Form` of a training."""

    fake: FakeQuantization
    """What the layers compute with."""
    bits: float
    """Bits of a weight when it is packed, without scales."""
    quantized: dict[str, Quantized] = field(default_factory=dict)
    """After training: the weights by path."""

    def begin(self, model: Any, objective: Objective, schedule: Schedule, targets: int) -> Objective:
        """Let the linear layers of the blocks round.

        Raises:
            BadInput: it isn't known where they are.
        """
        from potstill.compression.architecture import with_linear_layers
        from potstill.compression.layerwise import block_layers

        with_linear_layers(model)
        self.fake.begin(block_layers(model).values())
        return objective

    def end(self, model: Any, context: Context) -> None:
        """Round the weights for good."""
        from potstill.compression.architecture import with_own_layers
        from potstill.compression.layerwise import block_layers
        from potstill.compression.quantization.straight_through import settle

        self.quantized = settle(block_layers(model), self.fake.quantize)
        context.notes["low_bit"] = stored_size(self.quantized, self.bits)
        with_own_layers(model)

    def publish(self, folder: Path, context: Context) -> None:
        """Leave the folder: a dense one, whose weights are a scale times few values."""


def stored_size(quantized: Mapping[str, Quantized], bits: float) -> dict[str, float]:
    """Return what the weights of the blocks take now, as 16-bit numbers, and what they would take packed."""
    weights = sum(weight.values.numel() for weight in quantized.values())
    scales = sum(weight.scale.numel() for weight in quantized.values())
    zeros = sum(int((weight.values == 0).sum()) for weight in quantized.values())
    return {
        "weights": weights,
        "bits": round(bits, 2),
        "bytes": 2 * weights,
        "packed_bytes": math.ceil((bits * weights + SCALE_BITS * scales) / 8),
        "zeros": round(zeros / max(weights, 1), 4),
    }
