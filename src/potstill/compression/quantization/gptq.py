"""GPTQ: rounding that compensates each column's error in the columns not yet rounded (Frantar et al. 2022).

Shapes: O output features, I input features, G groups of inputs, N tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from potstill.compression.expert_layers import is_expert
from potstill.compression.quantization import rounding
from potstill.compression.quantization.gptq_columns import BLOCK, Order, by_columns
from potstill.compression.quantization.rounding import Quantized
from potstill.compression.slabs import slabs
from potstill.errors import BadInput

AT_ONCE = 2**24
"""Weights whose columns are rounded at once: fewer take longer, as the loop is the same for all rows; more take memory
of some 14 bytes each."""


class Hessian:
    """The mean of x xᵀ over the tokens: the Hessian of the layer's squared error up to a factor (section 3)."""

    def __init__(self, width: int, device: torch.device | str = "cpu", weights: Tensor | None = None) -> None:
        """Start with nothing recorded of `width` input features.

        Args:
            width: of the inputs.
            device: where the inputs will be.
            weights: what each of the tokens that will come counts, with mean 1 (`token_weights`); all alike without.
        """
        self.weights = weights
        self.total = torch.zeros(width, width, dtype=torch.float32, device=device)
        self.width = width
        self.tokens = 0
        self._is_mean = False
        self.damped = 0.0
        self._factors: dict[float, Tensor] = {}
        self._by_activity: dict[float, tuple[Tensor, Tensor]] = {}

    def add(self, inputs: Tensor) -> None:
        """Update with `inputs` [N, I]."""
        values = inputs.float()
        weighted = values
        if self.weights is not None:
            own = self.weights[self.tokens : self.tokens + len(values)]
            weighted = values * own.to(values.device)[:, None]
        # in place: the matrix of a wide layer takes hundreds of MB
        self.total.addmm_(weighted.T, values)
        self.tokens += len(values)

    def mean(self) -> Tensor:
        """Return the matrix [I, I]."""
        # in place, as it is larger than the layer where that is wide: nothing is added any more
        if not self._is_mean:
            self.total /= max(self.tokens, 1)
            self._is_mean = True
        return self.total

    def by_activity(self, damping: float) -> tuple[Tensor, Tensor]:
        """Return the features from the most active to the least [I], and `inverse_factor` in that order; cached."""
        if damping not in self._by_activity:
            matrix = self.mean()
            # the diagonal is the mean square of each input
            order = matrix.diagonal().argsort(descending=True, stable=True)
            factor, taken = damped_factor(matrix, damping, order)
            self._by_activity[damping], self.damped = (order, factor), max(self.damped, taken)
        return self._by_activity[damping]

    def factor(self, damping: float) -> Tensor:
        """Return `inverse_factor` of the mean, cached for the layers that share these inputs."""
        if damping not in self._factors:
            self._factors[damping], taken = damped_factor(self.mean(), damping)
            self.damped = max(self.damped, taken)
        return self._factors[damping]

    def forget_inverses(self) -> None:
        """Free all matrices when the layers that share these inputs are done: of a wide one they are larger than it."""
        self.total = self.total.new_empty(0, 0)
        self._factors.clear()
        self._by_activity.clear()


def inverse_factor(hessian: Tensor, damping: float) -> Tensor:
    """Return the upper Cholesky factor [I, I] of the inverse of the damped `hessian`; see `damped_factor`."""
    return damped_factor(hessian, damping)[0]


def damped_factor(hessian: Tensor, damping: float, order: Tensor | None = None) -> tuple[Tensor, float]:
    """Return the upper Cholesky factor [I, I] of the inverse of the damped `hessian`, and the damping that it took.

    That of the paper (section 4, step 3).
    `damping` times the mean of the diagonal is added to it; ten times more each time that it is still not positive
    definite. Features that were never active get a diagonal of 1: they are rounded on their own. With an `order` [I] it
    is that of the Hessian in this order of features. Beside the Hessian two matrices of its size are held at most.

    Raises:
        BadInput: the Hessian holds infinite or NaN values, or stays singular.
    """
    if not torch.isfinite(hessian).all():
        raise BadInput(
            "the Hessian of the calibration activations is not finite: the activations overflow; "
            "check the model on the calibration rows, or save it as bfloat16"
        )

    def copied() -> Tensor:
        return hessian.clone() if order is None else hessian[order][:, order]

    # each matrix takes the place of the one before: of a wide layer one of them takes hundreds of MB
    matrix = copied()
    diagonal = matrix.diagonal()
    # `diagonal` is a view, so this changes `matrix`
    diagonal[diagonal == 0] = 1
    mean, diagonal = float(diagonal.mean()), diagonal.clone()
    while damping <= 1:
        matrix.diagonal().copy_(diagonal + damping * mean)
        matrix, failed = torch.linalg.cholesky_ex(matrix)
        if not failed:
            matrix = torch.cholesky_inverse(matrix)
            # the rows of this factor are what the sequence of inverse-Hessian updates would give (section 4, step 3)
            matrix, failed = torch.linalg.cholesky_ex(matrix, upper=True)
            if not failed and torch.isfinite(matrix).all():
                return torch.as_tensor(matrix), damping
        damping, matrix = damping * 10, copied()
    raise BadInput(
        "the Hessian of the calibration activations can't be inverted even with a damping of 1: give more calibration "
        'rows, or take a method that needs none (method="rtn", WandaPrune)'
    )


def layer_error(weight: Tensor, approximation: Tensor, hessian: Tensor) -> Tensor:
    """Return per output row [O] the mean squared error of the layer's outputs (section 3, equation 1)."""

    def error(rows: slice) -> Tensor:
        difference = weight[rows].float() - approximation[rows].float()
        return ((difference @ hessian) * difference).sum(1)

    return torch.cat([error(rows) for rows in slabs(weight)])


def error_against_rounding(weight: Tensor, quantized: Quantized, hessian: Tensor) -> float:
    """Return the error of the outputs with `quantized` in place of `weight` [O, I], divided by that of rounding."""
    how = (quantized.bits, quantized.group_size, quantized.scale.dtype, quantized.zero is None)
    nearest = relative_error(weight, rounding.quantize(weight, *how), hessian)
    return relative_error(weight, quantized, hessian) / max(nearest, 1e-12)


def relative_error(weight: Tensor, quantized: Quantized, hessian: Tensor) -> float:
    """Return the squared error of the outputs, summed over tokens and rows, as a share of their square."""
    nothing = torch.zeros((), device=weight.device).expand(weight.shape)
    power = float(layer_error(weight, nothing, hessian).sum())
    return float(layer_error(weight, quantized.dequantize(), hessian).sum()) / max(power, 1e-12)


def compensated(
    weight: Tensor, factor: Tensor, change: Callable[[Tensor, int, int], Tensor], block: int = BLOCK
) -> Tensor:
    """Return `weight` [O, I], each column changed, with its error compensated in the columns after it (algorithm 1).

    Args:
        weight: [O, I].
        factor: [I, I], from `inverse_factor`.
        change: given the weights as they are by now [O, I], a column, and where its block ends, returns what the column
            becomes [O]. Columns from the end of the block on don't yet know of the errors in it.
        block: columns whose errors reach the columns behind them at once.
    """
    rows, width = weight.shape
    rest = weight.to(torch.float32, copy=True)
    for start in range(0, width, block):
        stop = min(start + block, width)
        errors = torch.zeros(rows, stop - start, device=weight.device)
        for column in range(start, stop):
            changed = change(rest, column, stop)
            # equation 2, with the inverse Hessian's entries read from its Cholesky factor
            error = (rest[:, column] - changed) / factor[column, column]
            rest[:, column:stop] -= torch.outer(error, factor[column, column:stop])
            # the update gives it up to a rounding error; what is stored must be exact
            rest[:, column] = changed
            errors[:, column - start] = error
        rest[:, stop:] -= errors @ factor[start:stop, stop:]
    return rest


def quantize(
    weight: Tensor,
    factor: Tensor,
    bits: int,
    group_size: int,
    scale_type: torch.dtype = torch.float32,
    symmetric: bool = True,
) -> Quantized:
    """Quantize `weight` [O, I] column by column (algorithm 1); a group's scale is that of its updated weights.

    Weights that are exactly 0 stay 0, so that a pruned model stays pruned.

    Args:
        weight: [O, I].
        factor: [I, I], from `inverse_factor`.
        bits: of a value.
        group_size: input features that share a scale; it divides I and `BLOCK`, or is a multiple of `BLOCK`.
        scale_type: type that the scales are stored in.
        symmetric: whether 0 is the integer 0; otherwise every group has a zero point.
    """
    order = torch.arange(weight.shape[1], device=weight.device)
    how = (bits, group_size, scale_type, symmetric)
    return by_columns(weight, [Order(order, factor, follows=True)], *how)[0]


def quantize_by_activity(
    weight: Tensor,
    hessian: Hessian,
    bits: int,
    group_size: int,
    damping: float,
    scale_type: torch.dtype = torch.float32,
    symmetric: bool = True,
) -> Quantized:
    """Quantize `weight` [O, I] from its most active column to its least, so that what matters most is rounded freely.

    The order of the authors' later code ("act-order"). Groups stay runs of neighbouring columns, with the scales of the
    weights before, so that the result is stored like any other.
    """
    order = Order(*hessian.by_activity(damping), follows=False)
    return by_columns(weight, [order], bits, group_size, scale_type, symmetric)[0]


def quantize_layer(
    weight: Tensor,
    hessian: Hessian,
    bits: int,
    group_size: int,
    damping: float,
    scale_type: torch.dtype,
    symmetric: bool = True,
) -> Quantized:
    """Quantize `weight` [O, I] in two orders, and round it; each row is taken from what leaves it the least error.

    Rows don't depend on each other, so the choice can be made by row, and the error on the calibration tokens is never
    above that of rounding.
    """
    columns = torch.arange(weight.shape[1], device=weight.device)
    orders = [
        Order(columns, hessian.factor(damping), follows=True),
        Order(*hessian.by_activity(damping), follows=False),
    ]
    how = (bits, group_size, scale_type, symmetric)

    def best(part: Tensor) -> Quantized:
        candidates = [*by_columns(part, orders, *how), rounding.quantize(part, *how)]
        return best_by_row(part, candidates, hessian.mean())

    return rounding.joined([best(weight[rows]) for rows in slabs(weight, AT_ONCE)])


def sees_few(path: str, hessian: Hessian) -> bool:
    """Return whether the layer at `path` is an expert's that saw fewer tokens than it has input features.

    Its Hessian is singular: GPTQ then fits those tokens, and on others does as well as rounding at best. With inputs of
    a power-law spectrum its error on other tokens was 0.94 to 1.08 of rounding's up to half as many tokens as features
    (256 features in groups of 32), 0.82 at as many, 0.55 at twice as many.
    """
    return is_expert(path) and hessian.tokens < hessian.width


def quantize_together(
    weights: Mapping[str, Tensor],
    hessian: Hessian,
    bits: int,
    group_size: int,
    damping: float,
    scale_type: torch.dtype,
    symmetric: bool = True,
) -> dict[str, Quantized]:
    """Quantize `weights` [O, I] that read the same inputs as one, since rows don't depend on each other; by name."""
    # stacked rows share the Hessian's factorization and the loop over columns
    whole = torch.cat(list(weights.values()))
    quantized = quantize_layer(whole, hessian, bits, group_size, damping, scale_type, symmetric)
    by_name: dict[str, Quantized] = {}
    start = 0
    for name, weight in weights.items():
        rows = slice(start, start + len(weight))
        # copies, because parts that share their storage can't be saved
        zero = None if quantized.zero is None else quantized.zero[rows].clone()
        by_name[name] = Quantized(quantized.values[rows].clone(), quantized.scale[rows].clone(), bits, zero)
        start = rows.stop
    return by_name


def best_by_row(weight: Tensor, candidates: Sequence[Quantized], hessian: Tensor) -> Quantized:
    """Return of each row [I] of `weight` the candidate with the least `layer_error`; they are stored alike."""
    errors = torch.stack([layer_error(weight, one.dequantize(), hessian) for one in candidates])
    best = errors.argmin(0)

    def chosen(parts: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(parts))[best, torch.arange(len(best), device=best.device)]

    zeros = [one.zero for one in candidates if one.zero is not None]
    return Quantized(
        chosen([one.values for one in candidates]),
        chosen([one.scale for one in candidates]),
        candidates[0].bits,
        chosen(zeros) if zeros else None,
    )
