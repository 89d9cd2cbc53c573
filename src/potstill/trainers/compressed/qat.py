"""Quantization-aware training: a student is trained with the integer weights that it will be served with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from potstill.errors import BadInput, Problem
from potstill.trainers.compressed.low_bit import LowBit, low_bit_problems, train_in_few_bits
from potstill.trainers.language_models.base import CausalTraining
from potstill.trainers.language_models.soft_lesson import SoftFields
from potstill.trainers.loop import student_model as students

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import nn

    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource
    from potstill.trainers.loop.objective import Objective
    from potstill.trainers.loop.schedule import Schedule

GROUP_ROWS = 32
"""4-bit kernels of vLLM want output features in multiples of this."""
WIDE = "take bits=8, which fits any width"


class QAT(SoftFields, CausalTraining):
    """Train a student with the int8 or int4 weights that it is then stored with (Jacob et al. 2018, section 3).

    Each forward pass rounds weights to nearest, per output channel (`bits=8`) or per group (`bits=4`), and with
    `bits=8` the activations of each token too; the gradient passes straight through to the real weights. What is
    written is just what the last forward pass computed with: W8A8 or W4A16 in compressed-tensors, which vLLM and
    transformers load. Embeddings and head stay 16-bit.

    >>> rows = LoadRows([{"instruction": "turn on the lamp", "output": "on"}])
    >>> show(QAT(rows, student=student, bits=4, epochs=1))
    {'parameters': 1049984, 'zeros': 0.1, 'bits': 7}
    """

    _: KW_ONLY
    bits: Literal[4, 8] = 8
    """Bits of a weight."""
    group_size: Literal[32, 64, 128] = 32
    """Of `bits=4`: input features that share a scale."""

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        yield from low_bit_problems(self, how=self)

    def form(self) -> Packed:
        """Return what the layers compute with."""
        import torch

        from potstill.compression.quantization import rounding
        from potstill.compression.quantization.straight_through import FakeQuantization

        group = self.group_size if self.bits == 4 else None

        def quantize(weight: torch.Tensor) -> rounding.Quantized:
            return rounding.quantize(weight, self.bits, group, torch.bfloat16)

        return Packed(FakeQuantization(quantize, 8 if self.bits == 8 else None), self.bits, group=group)

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        weights = f"int4 in groups of {self.group_size}" if self.bits == 4 else "int8 per channel"
        activations = "16 bits" if self.bits == 4 else "int8 per token"
        stored = {"format": "compressed-tensors", "embeddings and head": "16-bit"}
        details = {"weights": weights, "activations in training": activations, **stored}
        return {**super().recipe(), **self.soft_recipe(), **details}

    def run(
        self,
        rows: Dataset,
        student: ModelSource,
        teacher: ModelSource | None,
        context: Context,
        *,
        validation: Dataset | None = None,
    ) -> Path:
        """Train the student on `rows` and write its folder.

        Raises:
            BadInput: the student's architecture isn't known, or the teacher's distributions don't go with it.
        """
        inputs = {"rows": rows, "student": student, "teacher": teacher}
        return train_in_few_bits(self, inputs, context, validation, how=self)


@dataclass
class Packed(LowBit):
    """Weights that are stored as integers."""

    group: int | None = None
    """Input features that share a scale; None is all of a row."""

    def begin(self, model: PretrainedModel, objective: Objective, schedule: Schedule, targets: int) -> Objective:
        """Put fake quantization into the linear layers of the blocks.

        Raises:
            BadInput: the format can't store them.
        """
        from potstill.compression.formats import checkpoint as stored

        objective = super().begin(model, objective, schedule, targets)
        stored.refuse_other_layers(model, "compressed-tensors", 8 if self.group is None else 4)
        if self.group is not None:
            check_layers(self.layers(model), self.group)
        return objective

    def layers(self, model: PretrainedModel) -> dict[str, nn.Linear]:
        """Return the layers that are stored as integers, by path."""
        from potstill.compression.layerwise import block_layers, quantizable

        return quantizable(block_layers(model))

    def publish(self, folder: Path, context: Context) -> None:
        """Replace the 16-bit weights by the integers."""
        import torch

        from potstill.compression.architecture import with_linear_layers
        from potstill.compression.formats import compressed_tensors

        # the integers of the last forward pass are packed: the bfloat16 weights in the folder would round otherwise
        model = students.load_model(folder, torch.bfloat16)
        with_linear_layers(model)
        writer = compressed_tensors.CompressedTensorsWriter(model, folder)
        writer.add_all(self.quantized.items())
        writer.finish()


def check_layers(layers: dict[str, Any], group: int) -> None:
    """Make sure that `layers`, by path, can be stored and served as integers in groups.

    Raises:
        BadInput: some can't.
    """
    narrow = [f"{path} has {layer.in_features}" for path, layer in layers.items() if layer.in_features % group]
    odd = [f"{path} has {layer.out_features}" for path, layer in layers.items() if layer.out_features % GROUP_ROWS]
    fitting = [size for size in (32, 64, 128) if not any(layer.in_features % size for layer in layers.values())]
    remedy = f"group_size that fits: {' or '.join(map(str, fitting))}" if fitting else WIDE
    problems = []
    if narrow:
        problems.append(f"input features can't be divided into groups of {group}: {', '.join(narrow[:4])}; {remedy}")
    if odd:
        text = f"4-bit kernels need output features in multiples of {GROUP_ROWS}: {', '.join(odd[:4])}"
        problems.append(f"{text}; {WIDE}")
    if problems:
        raise BadInput(*problems)
