"""Importance of a model's parts, by regression of a metric (the merit) on random sub-models (Bonsai).

Dery et al. 2024, "Everybody Prune Now: Structured Pruning of LLMs with only Forward Passes", section 3: sub-models are
drawn around a prior, in pairs that leave out complementary halves of the candidates, and a linear model of the merit
gives each candidate its worth; the regression is chosen by cross-validation with Kendall's tau, as in the authors'
code. In place of their Adam grid with a weight penalty the ridge regression is solved exactly, and shrinks towards the
prior or towards zero, whichever ranks unseen sub-models better.

Shapes: M sub-models, N candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PENALTIES = tuple(10.0**power for power in range(-2, 5))
"""Ridge penalties to choose from, for merits of variance 1."""
FOLDS = 5
"""Parts of the cross-validation."""


@dataclass(frozen=True)
class Regression:
    """The chosen regression."""

    worth: Tensor
    """[N]: by how much a candidate raises the merit when it is there, in standard deviations of the merit."""
    tau: float
    """Kendall's tau of predicted and measured merits on sub-models left out of the fit."""
    prior_tau: float
    """The same of the prior alone."""


def halves(prior: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return two bool masks [N] of candidates that stay: the second leaves out what the first keeps.

    `count` go from the first, drawn without replacement with a probability that grows as the prior falls. N is at most
    twice `count`, so that the other mask leaves out about as many.
    """
    chance = (prior.max() - prior).double()
    # the most valued candidate can go as well, or its worth would never show
    chance = chance + max(float(chance.mean()) * 0.1, 1e-9)
    gone = torch.multinomial(chance, count, replacement=False, generator=generator)
    stays = torch.ones(len(prior), dtype=torch.bool).index_fill(0, gone, False)
    return stays, ~stays


def fit(masks: Tensor, merits: Tensor, prior: Tensor) -> Regression:
    """Fit the worth of candidates to the merits of sub-models.

    Args:
        masks: which candidates each sub-model has [M, N]; rows 2k and 2k + 1 are a pair, and stay in one fold.
        merits: [M], higher is better.
        prior: [N], at least 0, higher is better.
    """
    inputs = masks.double() - masks.double().mean(0)
    # standardized, so that one grid of penalties fits perplexities and accuracies
    target = (merits.double() - merits.double().mean()) / merits.double().std().clamp_min(1e-12)
    guess = prior.double() / prior.double().mean().clamp_min(1e-12)
    # pairs stay together: the complement in the training fold would give the held-out merit away
    folds = (torch.arange(len(masks)) // 2) % min(FOLDS, max(len(masks) // 2, 1))
    grid = [(penalty, pulled) for pulled in (True, False) for penalty in PENALTIES]
    scores = [_cross_validated(inputs, target, guess, folds, *choice) for choice in grid]
    chosen = max(range(len(grid)), key=scores.__getitem__)
    worth = _ridge(inputs, target, guess, *grid[chosen])
    return Regression(worth, scores[chosen], kendall_tau(inputs @ guess, target))


def _cross_validated(
    inputs: Tensor, target: Tensor, guess: Tensor, folds: Tensor, penalty: float, pulled: bool
) -> float:
    taus = []
    for fold in range(int(folds.max()) + 1):
        rest = folds != fold
        if rest.any():
            worth = _ridge(inputs[rest], target[rest], guess, penalty, pulled)
            taus.append(kendall_tau(inputs[~rest] @ worth, target[~rest]))
    return sum(taus) / len(taus) if taus else 0.0


def _ridge(inputs: Tensor, target: Tensor, guess: Tensor, penalty: float, pulled: bool) -> Tensor:
    """Solve min |y - X w|^2 + penalty |w - c|^2, where c is 0, or the prior as large as fits best."""
    alone = inputs @ guess
    size = float(alone @ target / (alone @ alone).clamp_min(1e-12))
    centre = max(size, 0.0) * guess if pulled else torch.zeros_like(guess)
    # M is below N as a rule: the M x M system has the same solution and is the smaller one
    gram = inputs @ inputs.T + penalty * torch.eye(len(inputs), dtype=inputs.dtype)
    return torch.as_tensor(centre + inputs.T @ torch.linalg.solve(gram, target - inputs @ centre))


def kendall_tau(first: Tensor, second: Tensor) -> float:
    """Return Kendall's tau-b: the share of pairs that both order alike, less those that they order otherwise.

    >>> kendall_tau(torch.tensor([1.0, 2, 3]), torch.tensor([1.0, 3, 2]))
    0.3333333333333333
    """
    one, other = (torch.sign(values[:, None] - values[None]).double() for values in (first, second))
    norm = float((one.abs().sum() * other.abs().sum()).sqrt())
    return float((one * other).sum()) / norm if norm else 0.0
