"""Experts as linear layers: what transformers stores as one weight for all experts of a block, taken apart and back.

Methods then treat each expert's projections as layers, with the tokens that the router sends there. Their names within
a block are those of the Hub (`mlp.experts.0.gate_proj`).

Shapes: E experts, O output features, I input features, N tokens, K experts that a token goes to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


class Expert(nn.Module):
    """One expert of a block."""

    def __init__(self, gate_up: Tensor, down: Tensor) -> None:
        """Take its weights [2 O, I] and [I, O] out of those of all experts."""
        super().__init__()
        self.gate_proj, self.up_proj = (_linear(half) for half in gate_up.chunk(2))
        self.down_proj = _linear(down)


class ExpertLayers(nn.ModuleList):
    """The experts of a block."""

    def __init__(self, stored: Any) -> None:
        """Take the weights out of transformers' module `stored`, which is kept without them."""
        pairs = zip(stored.gate_up_proj.data, stored.down_proj.data, strict=True)
        super().__init__(Expert(gate_up, down) for gate_up, down in pairs)
        # in a tuple, so that it is no part of this one
        self._stored = (stored,)
        stored.gate_up_proj = stored.down_proj = None

    def forward(self, states: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """Return the sum [N, I] of what the experts `chosen` [N, K] make of `states` [N, I], by `weights` [N, K]."""
        total, activation = torch.zeros_like(states), self._stored[0].act_fn
        for number, expert in enumerate(self._experts()):
            token, place = torch.where(chosen == number)
            if len(token):
                read = states[token]
                outputs = expert.down_proj(activation(expert.gate_proj(read)) * expert.up_proj(read))
                total.index_add_(0, token, (outputs * weights[token, place, None]).to(total.dtype))
        return total

    def keep(self, numbers: Sequence[int]) -> None:
        """Leave only the experts of these numbers."""
        for place, number in enumerate(numbers):
            self[place] = self[number]
        del self[len(numbers) :]

    def _experts(self) -> list[Expert]:
        return [cast("Expert", expert) for expert in self]

    def joined(self) -> nn.Module:
        """Return transformers' module with the weights as they are now."""
        stored = self._stored[0]
        parts = [torch.cat([one.gate_proj.weight.data, one.up_proj.weight.data]) for one in self._experts()]
        stored.gate_up_proj = nn.Parameter(torch.stack(parts))
        stored.down_proj = nn.Parameter(torch.stack([one.down_proj.weight.data for one in self._experts()]))
        stored.num_experts = len(self)
        module: nn.Module = stored
        return module


def take_apart(model: PretrainedModel) -> None:
    """Replace the experts of `model` by `ExpertLayers`."""
    for parent, name, stored in list(_experts(model)):
        setattr(parent, name, ExpertLayers(stored))


def join(model: PretrainedModel) -> None:
    """Undo `take_apart`, so that the model is saved as its kind is."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ExpertLayers):
                setattr(parent, name, child.joined())


def _experts(model: PretrainedModel) -> Iterator[tuple[nn.Module, str, Any]]:
    """Yield (parent, name, module) of what holds the weights of all experts, gate and up in halves."""
    for parent in model.modules():
        for name, child in parent.named_children():
            weights = dict(child.named_parameters(recurse=False))
            if {"gate_up_proj", "down_proj"} <= set(weights) and weights["down_proj"].dim() == 3:
                yield parent, name, child


def _linear(weight: Tensor) -> nn.Linear:
    """Return a layer without bias that has a copy of `weight` [O, I]."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=weight.dtype, device="meta")
    layer.weight = nn.Parameter(weight.detach().clone())
    return layer
