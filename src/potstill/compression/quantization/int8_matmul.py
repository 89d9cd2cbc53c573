"""The matrix product of 8-bit integers, as a W8A8 kernel computes it.

Shapes: O output features, I input features, N tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from potstill.compression.quantization.rounding import Quantized, absmax_scale, round_with


def int8_matmul(inputs: Tensor, weight: Tensor) -> Tensor:
    """Return int32 [N, O], the exact product of `inputs` int8 [N, I] and `weight` int8 [O, I].

    A product of two 8-bit integers needs 15 bits and a sign, so that 131,071 of them fit into 32 bits.

    Raises:
        TypeError: one of them is not int8.
    """
    if inputs.dtype != torch.int8 or weight.dtype != torch.int8:
        raise TypeError(f"inputs are {inputs.dtype} and weights {weight.dtype}; both must be int8")
    # widened first: torch sums the products of int8 tensors in int8
    return inputs.to(torch.int32) @ weight.to(torch.int32).T


def linear(inputs: Tensor, weight: Quantized) -> Tensor:
    """Return float32 [N, O]: each token of `inputs` [N, I] rounded by its absmax, times the int8 `weight`.

    The two scales are applied to the sums of integers (Dettmers et al. 2022, section 3.1).
    """
    scale = absmax_scale(inputs, 8)
    sums = int8_matmul(round_with(inputs, scale, 8).to(torch.int8), weight.values)
    return sums.float() * scale * weight.scale.float().T
