"""Structured pruning with forward passes only (Bonsai, Dery et al. 2024, section 3).

Rounds: a prior ranks the units and key-value groups of each block; those at its end are candidates; sub-models without
some of them are tried, and the candidates that the regression says are worth least are cut out. Every block loses as
many, which the paper's default (one ranking over all blocks) does not: such models load nowhere.

Shapes: L blocks, U feed-forward units, G key-value groups, I input features, N candidates of all blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from potstill.compression.architecture import key_value_heads
from potstill.compression.loss import Batch
from potstill.compression.pruning.gates import gated, readers_of_heads, readers_of_units, run_hooked
from potstill.compression.pruning.mask_regression import Regression, fit, halves
from potstill.compression.pruning.slicing import cut_groups, cut_units
from potstill.compression.pruning.wanda import InputNorms

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

Utility = Callable[[Any, Sequence[Batch]], float]
"""What a model is good for on texts, higher is better; it need not be differentiable."""


@dataclass(frozen=True)
class Goal:
    """How many units and groups of each block stay."""

    units: int
    """Feed-forward units."""
    groups: int
    """Key-value groups."""


@dataclass(frozen=True)
class Candidates:
    """Parts of one layer's input of which some will go."""

    layer: nn.Linear
    """Projection that reads them."""
    members: Tensor
    """[N], which parts, by number."""
    prior: Tensor
    """[N]."""
    gone: int
    """How many of them will go."""
    parts: int
    """How many parts the layer reads in all."""

    def gate(self, stays: Tensor) -> Tensor:
        """Return the gate [I] of the layer for the candidates that stay, bool [N]."""
        open_parts = torch.ones(self.parts).index_fill(0, self.members[~stays], 0.0)
        return open_parts.repeat_interleave(self.layer.in_features // self.parts)

    def kept(self, worth: Tensor) -> Tensor:
        """Return the parts that stay when the candidates worth least [N] go."""
        out = self.members[torch.sort(worth, stable=True).indices[: self.gone]]
        return torch.ones(self.parts, dtype=torch.bool).index_fill(0, out, False).nonzero()[:, 0]


@torch.no_grad()
def priors(model: PretrainedModel, batches: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Return per block the prior of units [U] and of groups [G]: mean over outputs of |W_ij| times the norm of x_j.

    Wanda's score of the weights that read a part (Sun et al. 2023, equation 1), averaged over them.
    """
    layers = [*readers_of_units(model), *readers_of_heads(model)]
    norms = {layer: InputNorms(layer.in_features, layer.weight.device) for layer in layers}

    def take(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        norms[module].add(args[0].flatten(0, -2))  # type: ignore[index] # hooked on these layers only

    handles = [layer.register_forward_pre_hook(take) for layer in layers]
    run_hooked(model, batches, handles)
    scores = [(layer.weight.float().abs().mean(0) * norms[layer].norms()).cpu() for layer in layers]
    blocks, groups = len(layers) // 2, key_value_heads(model.config)
    return scores[:blocks], [score.reshape(groups, -1).mean(1) for score in scores[blocks:]]


def candidates(model: PretrainedModel, batches: Sequence[Batch], goal: Goal) -> list[Candidates]:
    """Return the candidates of a round that ends at `goal`: per layer the lowest by the prior, twice as many as go."""
    units, groups = priors(model, [batch.ids for batch in batches])
    read = [*zip(readers_of_units(model), units, strict=True), *zip(readers_of_heads(model), groups, strict=True)]
    per_layer = []
    for number, (layer, prior) in enumerate(read):
        gone = len(prior) - (goal.units if number < len(units) else goal.groups)
        # twice as many as go, so that each half of a pair leaves out just as many as the round will cut
        members = torch.sort(prior, stable=True).indices[: 2 * gone]
        per_layer.append(Candidates(layer, members, prior[members], gone, len(prior)))
    return per_layer


@torch.no_grad()
def regressed(
    model: PretrainedModel,
    batches: Sequence[Batch],
    chosen: Sequence[Candidates],
    utility: Utility,
    submodels: int,
    generator: torch.Generator,
) -> Regression:
    """Try `submodels` sub-models without some candidates, and return what the candidates are worth."""
    model.eval()
    masks, merits = [], []
    # layers that lose nothing have no candidates, and would only add columns without information
    chosen = [one for one in chosen if one.gone]
    layers = [one.layer for one in chosen]
    for _ in range(max(submodels // 2, 2)):
        sides = [halves(one.prior, one.gone, generator) for one in chosen]
        for side in (0, 1):
            stays = [both[side] for both in sides]
            with gated(layers, [one.gate(mask) for one, mask in zip(chosen, stays, strict=True)]):
                merits.append(float(utility(model, batches)))
            # both halves of a pair are tried, so every candidate is left out about as often as it stays
            masks.append(torch.cat(stays))
    # layers' priors have different scales; the regression pools the candidates of all layers
    guess = torch.cat([one.prior / one.prior.mean().clamp_min(1e-12) for one in chosen])
    return fit(torch.stack(masks), torch.tensor(merits), guess)


def cut(model: PretrainedModel, every: Sequence[Candidates], worth: Tensor | None) -> None:
    """Cut out of `model` the candidates worth least; by the prior alone without `worth` [N].

    Args:
        model: a model of transformers whose layers are `nn.Linear`.
        every: the candidates of all layers: those of units in the order of blocks, then those of groups.
        worth: of the candidates of those layers that lose some, in the same order.
    """
    losing = [one for one in every if one.gone]
    parts = [one.prior for one in losing] if worth is None else torch.split(worth, [len(one.members) for one in losing])
    by_layer = {id(one.layer): part for one, part in zip(losing, parts, strict=True)}
    staying = [one.kept(by_layer.get(id(one.layer), one.prior)) for one in every]
    blocks = len(every) // 2
    if any(one.gone for one in every[:blocks]):
        cut_units(model, staying[:blocks])
    if any(one.gone for one in every[blocks:]):
        cut_groups(model, staying[blocks:])


def goals(units: int, groups: int, end: Goal, share: float) -> list[Goal]:
    """Return the goals of all rounds from `units` and `groups` to `end`, each losing about `share` of the whole.

    >>> goals(100, 4, Goal(80, 4), 0.1)
    [Goal(units=90, groups=4), Goal(units=80, groups=4)]
    """
    lost = max((units - end.units) / units, (groups - end.groups) / groups)
    rounds = max(round(lost / share), 1)
    per_round = [
        Goal(
            units - round((units - end.units) * number / rounds),
            groups - round((groups - end.groups) * number / rounds),
        )
        for number in range(1, rounds + 1)
    ]
    # rounding can give two rounds the same goal; the second would cut nothing
    return [goal for place, goal in enumerate(per_round) if place == 0 or goal != per_round[place - 1]]
