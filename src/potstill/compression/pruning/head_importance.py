"""Sensitivity of the loss to attention heads (Michel et al. 2019, "Are Sixteen Heads Really Better than One?").

Shapes: B texts, L blocks, G key-value groups, I features that the heads make.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from potstill.compression.architecture import key_value_heads
from potstill.compression.block_backward import one_block_held
from potstill.compression.loss import Batch, cross_entropy, predictions
from potstill.compression.pruning.gates import gated, readers_of_heads

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


def head_importance(
    model: PretrainedModel, batches: Sequence[Batch], progress: Callable[[int], None] = lambda _: None
) -> Tensor:
    """Return the importance [L, G]: the mean over texts of |dL / d gate|, with all gates at 1 (section 4.1).

    Query heads that share a key-value head share a gate, since they can only go together. The loss of a text is the
    mean of its predictions'.

    Args:
        model: a model of transformers with a head.
        batches: texts with what is to be predicted.
        progress: called with the number of texts done.
    """
    model.eval()
    layers, groups = readers_of_heads(model), key_value_heads(model.config)
    total, count = torch.zeros(len(layers), groups), 0
    for batch in batches:
        size = len(batch.ids)
        # a gate per text, not per batch: the absolute value is taken of each text's gradient, before the sum
        gates = [torch.ones(size, groups, device=model.device, requires_grad=True) for _ in layers]
        wide = [
            gate.repeat_interleave(layer.in_features // groups, 1)[:, None]
            for gate, layer in zip(gates, layers, strict=True)
        ]
        with one_block_held(model), torch.enable_grad(), gated(layers, wide):
            losses, owner = predictions(model, batch, cross_entropy)
            owner = owner.to(losses.device)
            per_text = torch.zeros(size, device=losses.device).index_add(0, owner, losses)
            # summed over texts, each a mean over its tokens: the texts' gates are separate, so one backward pass serves
            # all
            mean = (per_text / owner.bincount(minlength=size)).sum()
            mean.backward()  # type: ignore[no-untyped-call] # torch
        total += torch.stack([torch.as_tensor(gate.grad).abs().sum(0) for gate in gates]).cpu()
        count += size
        progress(count)
    return torch.as_tensor(total / max(count, 1))


def by_layer(importance: Tensor) -> Tensor:
    """Return the importance [L, G] with an L2 norm of 1 in each block, so that blocks compare (section 4.1)."""
    norms: Tensor = torch.linalg.vector_norm(importance, dim=1, keepdim=True)
    return importance / norms.clamp_min(1e-12)


def least(importance: Tensor, count: int) -> list[list[int]]:
    """Return per block its share of the `count` least important groups of the whole model."""
    order = torch.sort(importance.flatten(), stable=True).indices[:count].tolist()
    width = importance.shape[1]
    return [sorted(place % width for place in order if place // width == layer) for layer in range(len(importance))]
