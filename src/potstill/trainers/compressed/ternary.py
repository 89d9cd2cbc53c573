"""Training of weights that are -1, 0 or 1 times a scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from potstill.errors import Problem
from potstill.trainers.compressed.low_bit import TRITS, LowBit, low_bit_problems, train_in_few_bits
from potstill.trainers.language_models.base import CausalTraining
from potstill.trainers.language_models.soft_lesson import SoftFields

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class Ternary(SoftFields, CausalTraining):
    """Train a student whose weights are -1, 0 or 1 times one scale a matrix: 1.58 bits (BitNet b1.58, Ma et al. 2024).

    In each forward pass (section 2) a weight matrix is divided by its mean absolute value, rounded and clipped to
    {-1, 0, 1}, and each token's activations are rounded to 8 bits; the gradient passes straight through. Unlike BitNet
    it starts from a trained student, and adds no norms, so that the folder loads as the student's kind does.
    The folder is a dense bfloat16 one that holds just these values: as small as its notes say (`low_bit`) it becomes
    when it is packed, such as by GGUF's TQ1_0 and TQ2_0. Rounding to three values without training destroys a model.

    >>> rows = LoadRows([{"instruction": "turn on the lamp", "output": "on"}])
    >>> show(Ternary(rows, student=student, epochs=1))
    {'parameters': 1049984, 'zeros': 0.3, 'bits': 16}
    """

    _: KW_ONLY
    activation_bits: Literal[8, 16] = 8
    """Bits of the layers' inputs while training: 8 rounds each token by its own largest value, as BitNet's kernels do;
    16 leaves them."""

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        yield from low_bit_problems(self, how=self)

    def form(self) -> LowBit:
        """Return what the layers compute with."""
        from potstill.compression.quantization.straight_through import FakeQuantization, ternary

        return LowBit(FakeQuantization(ternary, 8 if self.activation_bits == 8 else None), TRITS)

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        weights = "-1, 0 or 1 times a scale (1.58 bits), stored as bfloat16"
        details = {"activations in training": f"{self.activation_bits} bits", "weights": weights}
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
