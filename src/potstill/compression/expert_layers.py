"""Experts as linear layers: what transformers stores as one weight for all experts of a block, taken apart and back.

Methods then treat each expert's projections as layers, with the tokens that the router sends there. Their names within
a block are those of the Hub (`mlp.experts.0.gate_proj`), but for what `Architecture.stored_names` says.

Shapes: E experts, O output features, I input features, N tokens, K experts that a token goes to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


_WEIGHTS = ("gate_up_proj", "gate_up_proj_bias", "down_proj", "down_proj_bias")
"""Names of transformers' weights of all experts, [E, ...]; most types have no biases."""


class Expert(nn.Module):
    """One expert of a block."""

    def __init__(self, gate_up: Tensor, down: Tensor) -> None:
        """Take its weights [2 O, I] and [I, O] out of those of all experts."""
        super().__init__()
        self.gate_proj, self.up_proj = (_linear(half) for half in gate_up.chunk(2))
        self.down_proj = _linear(down)

    def outputs(self, states: Tensor, stored: Any) -> Tensor:
        """Return what it makes of `states` [N, I], by the activation of transformers' module `stored`."""
        made: Tensor = self.down_proj(stored.act_fn(self.gate_proj(states)) * self.up_proj(states))
        return made


class BiasedExpert(nn.Module):
    """One expert of gpt-oss: gate and up lie row by row in turn, in one layer; both layers have biases."""

    def __init__(self, gate_up: Tensor, gate_up_bias: Tensor, down: Tensor, down_bias: Tensor) -> None:
        """Take its weights [I, 2 O] and [O, I], input features first, out of those of all experts."""
        super().__init__()
        self.gate_up_proj = _linear(gate_up.T, gate_up_bias)
        self.down_proj = _linear(down.T, down_bias)

    def outputs(self, states: Tensor, stored: Any) -> Tensor:
        """Return what it makes of `states` [N, I], by the bounded activation of transformers' module `stored`."""
        made: Tensor = self.down_proj(stored._apply_gate(self.gate_up_proj(states)))
        return made


class ExpertLayers(nn.ModuleList):
    """The experts of a block."""

    def __init__(self, stored: Any) -> None:
        """Take the weights out of transformers' module `stored`, which is kept without them."""
        biased = hasattr(stored, "down_proj_bias")
        kind, names = (BiasedExpert, _WEIGHTS) if biased else (Expert, _WEIGHTS[::2])
        weights = [getattr(stored, name).data for name in names]
        super().__init__(kind(*own) for own in zip(*weights, strict=True))
        # in a tuple, so that it is no part of this one
        self._stored = (stored,)
        for name in names:
            setattr(stored, name, None)

    def forward(self, states: Tensor, chosen: Tensor, weights: Tensor) -> Tensor:
        """Return the sum [N, I] of what the experts `chosen` [N, K] make of `states` [N, I], by `weights` [N, K]."""
        total = torch.zeros_like(states)
        for number, expert in enumerate(self._experts()):
            token, place = torch.where(chosen == number)
            if len(token):
                outputs = expert.outputs(states[token], self._stored[0])
                total.index_add_(0, token, (outputs * weights[token, place, None]).to(total.dtype))
        return total

    def keep(self, numbers: Sequence[int]) -> None:
        """Leave only the experts of these numbers."""
        for place, number in enumerate(numbers):
            self[place] = self[number]
        del self[len(numbers) :]

    def _experts(self) -> list[Expert | BiasedExpert]:
        return [cast("Expert | BiasedExpert", expert) for expert in self]

    def joined(self) -> nn.Module:
        """Return transformers' module with the weights as they are now."""
        stored = self._stored[0]
        for name, parts in zip(_WEIGHTS, zip(*map(_weights, self._experts()), strict=True), strict=True):
            if parts[0] is not None:
                setattr(stored, name, nn.Parameter(torch.stack(parts)))
        stored.num_experts = len(self)
        module: nn.Module = stored
        return module


def is_expert(path: str) -> bool:
    """Return whether the layer at `path` is an expert's, which only those tokens reach that a router sends there.

    >>> is_expert("model.layers.0.mlp.experts.3.up_proj"), is_expert("model.layers.0.mlp.shared_experts.up_proj")
    (True, False)
    """
    return ".experts." in path


def is_gate(path: str) -> bool:
    """Return whether the layer at `path` weighs a shared expert: one number a token, which servers don't quantize."""
    return path.endswith(".shared_expert_gate")


def routers(model: PretrainedModel) -> list[str]:
    """Return the paths of the routers of `model`, whose experts are layers: they are no linear layers here."""
    return [
        f"{path}.{name}" if path else name
        for path, parent in model.named_modules()
        if any(isinstance(child, ExpertLayers) for child in parent.children())
        for name, child in parent.named_children()
        if not isinstance(child, nn.Linear | ExpertLayers) and "weight" in dict(child.named_parameters(recurse=False))
    ]


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


def _weights(expert: Expert | BiasedExpert) -> tuple[Tensor | None, ...]:
    """Return the weights of one expert as transformers stores them, in the order of `_WEIGHTS`."""
    down = expert.down_proj
    if isinstance(expert, BiasedExpert):
        both = expert.gate_up_proj
        return both.weight.data.T, both.bias.data, down.weight.data.T, down.bias.data
    return torch.cat([expert.gate_proj.weight.data, expert.up_proj.weight.data]), None, down.weight.data, None


def _linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """Return a layer that has a copy of `weight` [O, I] and `bias` [O]."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype, device="meta")
    layer.weight = nn.Parameter(weight.detach().clone(memory_format=torch.contiguous_format))
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    return layer
