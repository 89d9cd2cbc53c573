"""Gates on what the blocks' projections read: to leave units or heads out, or to take the loss's gradient for them.

Shapes: B texts, T tokens, I input features of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from potstill.compression.architecture import architecture_of, blocks_of
from potstill.compression.block_parts import features, query_rows
from potstill.compression.pruning.slicing import linear
from potstill.errors import BadInput

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

Hook = Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor, ...]]


def readers_of_units(model: PretrainedModel) -> list[nn.Linear]:
    """Return per block the projection that reads the feed-forward units.

    Raises:
        BadInput: they are those of experts.
    """
    path = architecture_of(model).down
    if not path:
        raise BadInput(
            f"a model of type {model.config.model_type!r} has the units of many experts, each read by other tokens: "
            "prune weights (WandaPrune, SparseGPTPrune), blocks (DepthPrune) or heads (HeadPrune)"
        )
    return [linear(block, path) for block in blocks_of(model)[1]]


def readers_of_heads(model: PretrainedModel) -> list[nn.Linear]:
    """Return per block the projection that reads the heads."""
    path = architecture_of(model).attended
    return [linear(block, path) for block in blocks_of(model)[1]]


@torch.no_grad()
def run_hooked(model: PretrainedModel, batches: Sequence[Tensor], handles: Sequence[RemovableHandle]) -> None:
    """Run the model without its head on `batches` of token ids [B, T] for the hooks, then remove them."""
    try:
        for batch in batches:
            model.base_model(input_ids=batch.to(model.device))
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def gated(layers: Sequence[nn.Module], gates: Sequence[Tensor]) -> Iterator[None]:
    """Multiply the inputs [B, T, I] of `layers` by `gates`, each [I] or [B, 1, I], while the context is open."""

    def hook(gate: Tensor) -> Hook:
        # one factor per input feature: multiplying the input is masking the part that made it
        return lambda _, args: (args[0] * gate.to(args[0]), *args[1:])

    handles = [layer.register_forward_pre_hook(hook(gate)) for layer, gate in zip(layers, gates, strict=True)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def zero_groups(model: PretrainedModel, gone: Sequence[Sequence[int]], per_group: int, size: int) -> None:
    """Set all weights of some key-value groups to zero, and the biases of their queries, keys and values.

    Args:
        model: a model of transformers whose layers are `nn.Linear`.
        gone: per block the groups.
        per_group: query heads of a group.
        size: features of a head.
    """
    arch = architecture_of(model)
    for block, groups in zip(blocks_of(model)[1], gone, strict=True):
        index = torch.as_tensor(groups, dtype=torch.long)
        attended = linear(block, arch.attended)
        attended.weight[:, features(index, per_group * size)] = 0
        all_groups = attended.in_features // (per_group * size)
        for path, zeroed in query_rows(arch, index, per_group, all_groups, size):
            layer = linear(block, path)
            layer.weight[zeroed] = 0
            if layer.bias is not None:
                layer.bias[zeroed] = 0
