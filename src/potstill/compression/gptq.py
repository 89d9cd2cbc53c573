"""GPTQ: rounding that makes up for each column's error in the columns not yet rounded (Frantar et al. 2022).

Shapes: O output features, I input features, G groups of inputs, N tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from potstill.compression import rounding
from potstill.compression.rounding import Quantized
from potstill.errors import BadInput

BLOCK = 128
"""Columns whose updates of the rest are applied at once ("lazy batch-updates", section 4, step 2)."""


class Hessian:
    """The mean of x xᵀ over the tokens: the Hessian of the layer's squared error up to a factor (section 3)."""

    def __init__(self, width: int, device: torch.device | str = "cpu") -> None:
        """Start with nothing recorded of `width` input features."""
        self.total = torch.zeros(width, width, dtype=torch.float32, device=device)
        self.tokens = 0
        self._factors: dict[float, Tensor] = {}

    def add(self, inputs: Tensor) -> None:
        """Take in `inputs` [N, I]."""
        values = inputs.float()
        self.total.addmm_(values.T, values)
        self.tokens += len(values)

    def mean(self) -> Tensor:
        """Return the matrix [I, I]."""
        return self.total / max(self.tokens, 1)

    def factor(self, damping: float) -> Tensor:
        """Return `inverse_factor` of the mean, worked out once for the layers that share these inputs."""
        if damping not in self._factors:
            self._factors[damping] = inverse_factor(self.mean(), damping)
        return self._factors[damping]


def inverse_factor(hessian: Tensor, damping: float) -> Tensor:
    """Return the upper Cholesky factor [I, I] of the inverse of the damped `hessian` (section 4, step 3).

    `damping` times the mean of the diagonal is added to it; ten times more each time that it is still not positive
    definite. Features that were never active get a diagonal of 1: they are rounded on their own.

    Raises:
        BadInput: the Hessian holds infinite or NaN values, or stays singular.
    """
    if not torch.isfinite(hessian).all():
        raise BadInput(
            "the Hessian of the calibration activations is not finite: the activations overflow; "
            "check the model on the calibration rows, or save it as bfloat16"
        )
    matrix: Tensor = hessian.clone()
    diagonal = matrix.diagonal()
    diagonal[diagonal == 0] = 1
    mean = float(diagonal.mean())
    while damping <= 1:
        damped = matrix + damping * mean * torch.eye(len(matrix), device=matrix.device)
        lower, failed = torch.linalg.cholesky_ex(damped)
        if not failed:
            upper, failed = torch.linalg.cholesky_ex(torch.cholesky_inverse(lower), upper=True)
            if not failed:
                return torch.as_tensor(upper)
        damping *= 10
    raise BadInput(
        "the Hessian of the calibration activations can't be inverted even with a damping of 1: give more calibration "
        'rows, or use method="rtn"'
    )


def layer_error(weight: Tensor, approximation: Tensor, hessian: Tensor) -> Tensor:
    """Return per output row [O] the mean squared error of the layer's outputs (section 3, equation 1)."""
    difference = weight.float() - approximation.float()
    return ((difference @ hessian) * difference).sum(1)


def quantize(
    weight: Tensor, factor: Tensor, bits: int, group_size: int, scale_type: torch.dtype = torch.float32
) -> Quantized:
    """Quantize `weight` [O, I] column by column (algorithm 1); a group's scale is that of its updated weights.

    Weights that are exactly 0 stay 0, so that a pruned model stays pruned.

    Args:
        weight: [O, I].
        factor: [I, I], from `inverse_factor`.
        bits: of a value.
        group_size: input features that share a scale; it divides I and `BLOCK`, or is a multiple of `BLOCK`.
        scale_type: type that the scales are stored in.
    """
    rows, width = weight.shape
    if width % group_size or (BLOCK % group_size and group_size % BLOCK):
        raise ValueError(f"groups of {group_size} don't fit {width} input features and blocks of {BLOCK}")
    rest = weight.float().clone()
    kept = weight != 0
    values = torch.zeros(rows, width, dtype=torch.int8, device=weight.device)
    scales = []
    for start in range(0, width, BLOCK):
        stop = min(start + BLOCK, width)
        errors = torch.zeros(rows, stop - start, device=weight.device)
        for column in range(start, stop):
            if column % group_size == 0:
                scales.append(rounding.absmax_scale(rest[:, column : column + group_size], bits, scale_type))
            scale = scales[-1][:, 0].float()
            rounded = rounding.round_with(rest[:, column], scale, bits) * kept[:, column]
            values[:, column] = rounded.to(torch.int8)
            error = (rest[:, column] - rounded * scale) / factor[column, column]
            rest[:, column:stop] -= torch.outer(error, factor[column, column:stop])
            errors[:, column - start] = error
        rest[:, stop:] -= errors @ factor[start:stop, stop:]
    return Quantized(values, torch.cat(scales, dim=1), bits)


def quantize_layer(
    weight: Tensor, hessian: Hessian, bits: int, group_size: int, damping: float, scale_type: torch.dtype
) -> Quantized:
    """Quantize `weight` [O, I]; rows that the greedy order leaves worse than rounding does are rounded.

    Rows don't depend on each other, so the choice can be made by row, and the error on the calibration tokens is never
    above that of rounding.
    """
    greedy = quantize(weight, hessian.factor(damping), bits, group_size, scale_type)
    nearest = rounding.quantize(weight, bits, group_size, scale_type)
    mean = hessian.mean()
    better = layer_error(weight, greedy.dequantize(), mean) <= layer_error(weight, nearest.dequantize(), mean)
    return Quantized(
        torch.where(better[:, None], greedy.values, nearest.values),
        torch.where(better[:, None], greedy.scale, nearest.scale),
        bits,
    )
