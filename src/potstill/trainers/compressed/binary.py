"""Training of weights that are -1 or 1 times a scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from potstill.errors import Problem
from potstill.trainers.compressed.low_bit import LowBit, low_bit_problems, train_in_few_bits
from potstill.trainers.language_models.base import CausalTraining
from potstill.trainers.language_models.soft_lesson import SoftFields

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource

CLIP = 1.0
"""Real weights beyond it get no gradient, as the sign no longer depends on them."""


class Binary(SoftFields, CausalTraining):
    """Train a student whose weights are -1 or 1 times one scale an output row: 1 bit.

    The sign of the real weight in each forward pass, its gradient passed straight through unless the weight is beyond
    1 (Courbariaux et al. 2015, BinaryConnect, section 2; Courbariaux et al. 2016, section 1); the scale is the row's
    mean absolute value (Rastegari et al. 2016, XNOR-Net, section 3.1). Activations stay as they are unless
    `activation_bits` is 8. The folder is a dense bfloat16 one that holds just these values: as small as its notes say
    (`low_bit`) it becomes when it is packed.

    >>> rows = LoadRows([{"instruction": "turn on the lamp", "output": "on"}])
    >>> show(Binary(rows, student=student, epochs=1))
    {'parameters': 1049984, 'zeros': 0.0, 'bits': 16}
    """

    _: KW_ONLY
    activation_bits: Literal[8, 16] = 16
    """Bits of the layers' inputs while training; BinaryConnect's stay real."""

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the parameters."""
        yield from super().check()
        yield from low_bit_problems(self, how=self)
        if self.hold_zeros:
            yield Problem("", "hold_zeros", "a weight of 1 bit is never zero: take Ternary, or leave hold_zeros out")

    def form(self) -> LowBit:
        """Return what the layers compute with."""
        from potstill.compression.quantization.straight_through import FakeQuantization, binary

        return LowBit(FakeQuantization(binary, 8 if self.activation_bits == 8 else None, CLIP), 1)

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        weights = "-1 or 1 times a scale a row (1 bit), stored as bfloat16"
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
