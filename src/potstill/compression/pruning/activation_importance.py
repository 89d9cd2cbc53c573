"""Importance of units, heads and channels by activation (Minitron, Muralidharan et al. 2024, section 2.2).

Forward passes alone. Per text the absolute activation is averaged over the sequence, then the L2 norm is taken over the
texts, the aggregation that the paper found best; a head's activation is the L2 norm of its output.

Shapes: B texts, T tokens, L blocks, U feed-forward units, A query heads, H hidden channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from potstill.compression.architecture import architecture_of, blocks_of
from potstill.compression.block_parts import norms_of
from potstill.compression.pruning.gates import readers_of_heads, readers_of_units, run_hooked

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


@dataclass(frozen=True)
class Activity:
    """Importance of everything that can be cut."""

    units: Tensor
    """[L, U], of the input of the projection that reads the feed-forward units."""
    heads: Tensor
    """[L, A], of the input of the projection that reads the heads."""
    hidden: Tensor
    """[H], of the outputs of the blocks' norms, summed over them."""

    def groups(self, per_group: int) -> Tensor:
        """Return the importance of key-value groups [L, G]: the sum of their heads'."""
        return torch.sum(self.heads.reshape(len(self.heads), -1, per_group), dim=-1)


@torch.no_grad()
def activity(model: PretrainedModel, batches: Sequence[Tensor]) -> Activity:
    """Return the importance of the parts of `model`.

    Args:
        model: a model of transformers.
        batches: token ids [B, T], each batch of texts of one length.
    """
    model.eval()
    arch, blocks = architecture_of(model), blocks_of(model)[1]
    norms = [norm for block in blocks for norm in norms_of(arch, block)]
    heads = int(model.config.num_attention_heads)
    squares: dict[nn.Module, Tensor] = {}

    def take(module: nn.Module, active: Tensor) -> None:
        # mean over tokens, then squares summed over texts: the L2 norm over the batch (section 2.2)
        squares[module] = squares.get(module, torch.zeros(())) + active.mean(1).square().sum(0).cpu()

    texts: list[int] = []

    def start(_: nn.Module, __: tuple[Tensor, ...], out: Tensor) -> None:
        texts[:] = [len(out)]

    def by_text(active: Tensor) -> Tensor:
        # OPT's feed-forward reads the tokens of all texts as one list
        return active.float().reshape(texts[0], -1, active.shape[-1])

    def unit(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        take(module, by_text(args[0]).abs())

    def head(module: nn.Module, args: tuple[Tensor, ...]) -> None:
        # the input of the output projection is the heads' outputs side by side
        take(module, torch.linalg.vector_norm(args[0].float().reshape(*args[0].shape[:2], heads, -1), dim=-1))

    def channel(module: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        take(module, by_text(out).abs())

    down, attended = readers_of_units(model), readers_of_heads(model)
    handles = [model.get_input_embeddings().register_forward_hook(start)]
    handles += [layer.register_forward_pre_hook(unit) for layer in down]
    handles += [layer.register_forward_pre_hook(head) for layer in attended]
    handles += [norm.register_forward_hook(channel) for norm in norms]
    run_hooked(model, batches, handles)
    units, per_head, hidden = (
        torch.stack([squares[module].sqrt() for module in modules]) for modules in (down, attended, norms)
    )
    return Activity(units, per_head, hidden.sum(0))


def best(importance: Tensor, count: int) -> Tensor:
    """Return the `count` most important along the last dimension, in their old order; of equal ones the first."""
    # `topk` breaks ties differently from device to device; a stable sort doesn't
    order = torch.sort(importance, dim=-1, descending=True, stable=True).indices
    return order[..., :count].sort(-1).values
