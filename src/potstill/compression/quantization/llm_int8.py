"""LLM.int8(): int8 by row and column, and half precision for the few features that are outliers.

Dettmers et al. 2022 (arXiv 2208.07339): vector-wise quantization (section 3.1) and mixed-precision
decomposition (section 3.2).

Shapes: O output features, I input features, N tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from potstill.compression.quantization import int8_matmul, rounding


def outlier_features(inputs: Tensor, threshold: float) -> Tensor:
    """Return bool [I]: the features of `inputs` [..., I] with a magnitude of at least `threshold` at any token."""
    return (inputs.abs() >= threshold).flatten(0, -2).any(0)


def matmul(inputs: Tensor, weight: Tensor, threshold: float) -> Tensor:
    """Return [N, O], `inputs` [N, I] times `weight` [O, I], both in half precision (section 3.2).

    With threshold 0 every feature is an outlier, and the result is that of half precision; with infinity none is, and
    it is that of int8 alone.
    """
    outliers = outlier_features(inputs, threshold)
    # a few features (0.1 % in the paper) hold the large values; without them the others round well
    half = inputs[:, outliers] @ weight[:, outliers].T
    if outliers.all():
        return half
    rest = rounding.quantize(weight[:, ~outliers], 8)
    return half + int8_matmul.linear(inputs[:, ~outliers], rest).to(inputs.dtype)


def fake_quantize_inputs(inputs: Tensor, threshold: float) -> Tensor:
    """Return `inputs` [..., I] with all but the outlier features rounded to int8 token by token, in their own type."""
    outliers = outlier_features(inputs, threshold)
    # outliers out before the scale is taken, or they would set it for all other features
    rest = torch.where(outliers, torch.zeros_like(inputs), inputs)
    return torch.where(outliers, inputs, rounding.fake_quantize_tokens(rest))
