"""The hard concrete distribution: gates from 0 to 1 that are often exactly 0 or 1, and have a gradient.

Louizos et al. 2018 ("Learning Sparse Neural Networks through L0 Regularization"), section 2.2: a binary concrete
variable with location log alpha, stretched to (LOW, HIGH) and clipped to [0, 1].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TEMPERATURE = 2 / 3
"""Beta in the paper, and its value there."""
LOW, HIGH = -0.1, 1.1
"""Gamma and zeta in the paper, and their values there."""
SMALLEST = 1e-6
"""How near to 0 and 1 the noise may be, so that its logarithms are finite."""


def sample(log_alpha: Tensor, uniform: Tensor) -> Tensor:
    """Return gates drawn with `uniform` noise between 0 and 1, of the shape of `log_alpha`."""
    noise = uniform.clamp(SMALLEST, 1 - SMALLEST)
    # section 2.2: s = sigmoid((log u - log(1 - u) + log alpha) / beta)
    concrete = torch.sigmoid((noise.log() - (1 - noise).log() + log_alpha) / TEMPERATURE)
    return (concrete * (HIGH - LOW) + LOW).clamp(0, 1)


def open_probability(log_alpha: Tensor) -> Tensor:
    """Return the probability that a gate is not 0."""
    # section 2.2: P(gate != 0) = sigmoid(log alpha - beta log(-gamma / zeta))
    return torch.sigmoid(log_alpha - TEMPERATURE * math.log(-LOW / HIGH))


def expected(log_alpha: Tensor) -> Tensor:
    """Return the gates that are used after training: no noise, clipped alike."""
    # the paper's test-time estimator, without noise and temperature
    return (torch.sigmoid(log_alpha) * (HIGH - LOW) + LOW).clamp(0, 1)
