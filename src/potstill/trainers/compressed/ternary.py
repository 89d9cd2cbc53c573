"""Training of weights that are -1, 0 or 1 times a scale."""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import Literal

from potstill.trainers.compressed.low_bit import TRITS, LowBit, LowBitTraining


class Ternary(LowBitTraining):
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

    def form(self) -> LowBit:
        """Return what the layers compute with."""
        from potstill.compression.quantization.straight_through import FakeQuantization, ternary

        return LowBit(FakeQuantization(ternary, 8 if self.activation_bits == 8 else None), TRITS)

    def recipe(self) -> dict[str, object]:
        """Return the parameters that the model card names."""
        told = {"activations in training": f"{self.activation_bits} bits"}
        return {**super().recipe(), **told, "weights": "-1, 0 or 1 times a scale (1.58 bits), stored as bfloat16"}
