"""A weight as the product of two thin ones, exact where the inputs are large: truncation-aware SVD (SVD-LLM).

Wang et al. 2024, "SVD-LLM: Truncation-aware Singular Value Decomposition for LLM Compression", section 3.1: with S the
Cholesky factor of the inputs' Gram matrix X X^T, cutting the smallest singular values of W S loses just their squares
in ||W X - W' X||^2.

Shapes: O output features, I input features, N tokens, R rank.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from potstill.errors import BadInput

DAMPING = 1e-6
"""Share of the Gram matrix's mean diagonal that is added to it where inputs depend on each other."""


class Gram:
    """The Gram matrix of a layer's inputs over all recorded tokens."""

    def __init__(self, width: int, device: torch.device | str = "cpu") -> None:
        """Start with nothing recorded of `width` input features."""
        self.total = torch.zeros(width, width, dtype=torch.float32, device=device)

    def add(self, inputs: Tensor) -> None:
        """Update with `inputs` [N, I]."""
        wide = inputs.float()
        self.total += wide.T @ wide


@dataclass(frozen=True)
class Factors:
    """A weight of low rank."""

    left: Tensor
    """[O, R]."""
    right: Tensor
    """[R, I]."""

    @property
    def product(self) -> Tensor:
        """Return the weight [O, I] that the factors stand for."""
        return self.left @ self.right

    @property
    def parameters(self) -> int:
        """Return how many numbers the factors take."""
        return self.left.numel() + self.right.numel()


def rank_within(rows: int, columns: int, budget: float) -> int:
    """Return the largest rank whose factors take at most the share `budget` of a weight's parameters; at least 1.

    >>> rank_within(100, 100, 0.5)
    25
    """
    # the small term keeps a product that is whole but for a rounding error from losing a rank
    return max(int(budget * rows * columns / (rows + columns) + 1e-9), 1)


def factorize(weight: Tensor, rank: int, gram: Tensor | None = None, rows: Tensor | None = None) -> Factors:
    """Return the factors of `rank` R whose outputs on the recorded inputs are nearest to those of `weight` [O, I].

    Args:
        weight: [O, I].
        rank: R, at most the smaller of O and I.
        gram: [I, I], from `Gram`; without it the weight itself is approximated (Eckart and Young 1936).
        rows: [O], by how much the squared error of each output counts, such as its Fisher information (FWSVD, Hsu et
            al. 2022, section 3); without it all count alike.
    """
    if rows is not None:
        # rows of (nearly) no information are divided by `scale` below, so it must stay above 0
        scale = rows.double().sqrt().clamp_min(1e-6 * float(rows.max().sqrt().clamp_min(1e-30)))
        weighted = factorize(scale[:, None] * weight.double(), rank, gram)
        return Factors((weighted.left.double() / scale[:, None]).float(), weighted.right)
    # without statistics S is the identity, which is the plain SVD
    whitener = torch.eye(weight.shape[1], dtype=torch.float64, device=weight.device) if gram is None else _root(gram)
    # float64: the Gram matrix squares the inputs' condition number
    left, values, right = torch.linalg.svd(weight.double() @ whitener, full_matrices=False)
    # right [R, I] S^-1, by the triangular S
    back = torch.linalg.solve_triangular(whitener, right[:rank], upper=False, left=False)
    # each factor gets half of the singular values, so that both have one magnitude
    root = values[:rank].sqrt()
    return Factors((left[:, :rank] * root).float(), (root[:, None] * back).float())


def _root(gram: Tensor) -> Tensor:
    """Return the lower Cholesky factor [I, I] of a Gram matrix, damped until it has one.

    Raises:
        BadInput: the inputs are not finite.
    """
    if not torch.isfinite(gram).all():
        raise BadInput(
            "the calibration activations are not finite: check the model on the calibration rows, or save it "
            "as bfloat16"
        )
    matrix = gram.double()
    diagonal = matrix.diagonal().clone()
    mean = float(diagonal.mean().clamp_min(1e-12))
    damping = DAMPING
    while True:
        matrix.diagonal().copy_(diagonal + damping * mean)
        # `cholesky_ex` reports failure in a tensor; `cholesky` would raise
        root, failed = torch.linalg.cholesky_ex(matrix)
        if not failed:
            return torch.as_tensor(root)
        damping *= 10
