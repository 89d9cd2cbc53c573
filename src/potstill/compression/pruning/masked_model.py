"""A model under learned masks: gates during training, and what remains of it afterwards.

Shapes: B texts, T tokens, H hidden channels, L blocks, I input features of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from potstill.compression.architecture import architecture_of, blocks_of
from potstill.compression.block_parts import norms_of, unit_rows
from potstill.compression.pruning.gates import zero_groups
from potstill.compression.pruning.l0_masks import ATTENTION, FEED_FORWARD, GROUPS, HIDDEN, UNITS, L0Masks
from potstill.compression.pruning.shapes import Shape
from potstill.compression.pruning.slicing import cut_groups, cut_hidden, cut_units

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

Gates = Mapping[str, Tensor]
"""Gates by kind: hidden [H], attention and feed_forward [L], groups [L, G], units [L, U]; those that are learned."""


class Masked:
    """Puts the gates of `masks` into a model, until it is released."""

    def __init__(self, model: PretrainedModel, masks: L0Masks) -> None:
        """Gate what heads and units put out, what sub-layers add to the hidden channels, and these themselves.

        Gates are drawn once in each forward pass of the whole model, so that what is computed again for the gradient
        sees the same ones.
        """
        self._masks = masks
        self._norms: list[nn.Module] = []
        arch, kinds = architecture_of(model), masks.scaled
        # OPT's head calls the decoder past its base model; an encoder draws before its embeddings are dropped out
        holder = model.base_model if arch.is_encoder else model.get_submodule(blocks_of(model)[0].rpartition(".")[0])
        self._handles: list[Any] = [holder.register_forward_pre_hook(lambda *_: masks.draw())]
        width = masks.shape.per_group * masks.shape.head_size
        blocks = blocks_of(model)[1]
        for number, block in enumerate(blocks):
            for path, part, whole, features in (
                (arch.attended, GROUPS, ATTENTION, width),
                (arch.down, UNITS, FEED_FORWARD, 1),
            ):
                layer = block.get_submodule(path)
                if part in kinds:
                    self._handles.append(layer.register_forward_pre_hook(self._part(part, number, features)))
                if whole in kinds or HIDDEN in kinds:
                    self._handles.append(layer.register_forward_hook(self._added(whole, number)))
        if HIDDEN in kinds:
            self._handles.append(blocks[0].register_forward_pre_hook(self._first))
            # closed channels are zero, but a norm divides by the number of channels, which must be that of the open
            # ones
            for norm in hidden_norms(model):
                norm.forward = self._normed(norm, arch.norm_offset)
                self._norms.append(norm)

    def release(self) -> None:
        """Take the gates out."""
        for handle in self._handles:
            handle.remove()
        for norm in self._norms:
            norm.__dict__.pop("forward", None)

    def _part(self, kind: str, number: int, features: int) -> Callable[..., tuple[Tensor, ...]]:
        def gate(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            gates = self._masks.now[kind][number].repeat_interleave(features)
            return (args[0] * gates.to(args[0]), *args[1:])

        return gate

    def _added(self, kind: str, number: int) -> Callable[..., Tensor]:
        def gate(_: nn.Module, args: tuple[Tensor, ...], out: Tensor) -> Tensor:
            now = self._masks.now
            for gates in (now[kind][number] if kind in now else None, now.get(HIDDEN)):
                out = out if gates is None else out * gates.to(out)
            return out

        return gate

    def _first(self, _: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Gate what the embeddings put into the hidden channels."""
        return (args[0] * self._masks.now[HIDDEN].to(args[0]), *args[1:])

    def _normed(self, norm: Any, offset: float) -> Callable[[Tensor], Tensor]:
        """Return a norm over the channels that are open: what it is once the others are cut."""
        centred = isinstance(norm, nn.LayerNorm)
        tiny = norm.eps if hasattr(norm, "eps") else norm.variance_epsilon

        def forward(states: Tensor) -> Tensor:
            gates = self._masks.now[HIDDEN].to(states.device)
            count, values = gates.sum(), states.float()
            if centred:
                values = values - (values * gates).sum(-1, keepdim=True) / count
            # RMSNorm and LayerNorm in one: both divide by the root mean square of the (centred) open channels
            power = (values.square() * gates).sum(-1, keepdim=True) / count
            values = values * torch.rsqrt(power + tiny) * (norm.weight + offset)
            if centred and norm.bias is not None:
                values = values + norm.bias
            normed: Tensor = (values * gates).to(states.dtype)
            return normed

        return forward


def hidden_norms(model: PretrainedModel) -> list[nn.Module]:
    """Return the norms over the hidden channels: those of the blocks, and those before and behind them."""
    arch, (path, blocks) = architecture_of(model), blocks_of(model)
    inside = [norm for block in blocks for norm in norms_of(arch, block)]
    width = (int(model.config.hidden_size),)
    around = [
        module
        for name, module in model.named_modules()
        if not name.startswith(f"{path}.")
        and not isinstance(module, (nn.Linear, nn.Embedding))
        and (weight := dict(module.named_parameters(recurse=False)).get("weight")) is not None
        and tuple(weight.shape) == width
    ]
    return inside + around


@torch.no_grad()
def build_in(model: PretrainedModel, gates: Gates, shape: Shape) -> None:
    """Multiply the weights by the `gates` of heads, units and sub-layers; of those that are closed nothing is left."""
    arch = architecture_of(model)
    gone = []
    for number, block in enumerate(blocks_of(model)[1]):
        attended: Any = block.get_submodule(arch.attended)
        down: Any = block.get_submodule(arch.down)
        groups = _of_block(gates, GROUPS, ATTENTION, number, shape.groups)
        units = _of_block(gates, UNITS, FEED_FORWARD, number, shape.units)
        attended.weight.mul_(groups.repeat_interleave(shape.per_group * shape.head_size).to(attended.weight))
        down.weight.mul_(units.to(down.weight))
        for reader, whole in ((attended, ATTENTION), (down, FEED_FORWARD)):
            # the sub-layer's gate scales all that it adds to the residual stream, its bias too
            if whole in gates and reader.bias is not None:
                reader.bias.mul_(gates[whole][number].to(reader.bias))
        gone.append((groups == 0).nonzero()[:, 0].tolist())
        closed = (units == 0).to(down.weight.device)
        for path, rows in unit_rows(arch, closed.nonzero()[:, 0], shape.units):
            layer: Any = block.get_submodule(path)
            layer.weight[rows] = 0
            if layer.bias is not None:
                layer.bias[rows] = 0
    zero_groups(model, gone, shape.per_group, shape.head_size)


def _of_block(gates: Gates, part: str, whole: str, number: int, count: int) -> Tensor:
    """Return the gates of a block's parts, each times that of the sub-layer."""
    part_gates = gates[part][number] if part in gates else torch.ones(count)
    return part_gates * gates[whole][number].to(part_gates) if whole in gates else part_gates


def cut(model: PretrainedModel, gates: Gates, counts: Mapping[str, int]) -> None:
    """Cut what is closed out of a model that the `gates` are built into; every block keeps as many, by kind `counts`.

    Of open and closed parts those with the highest gates stay, should some that are to stay be closed.
    """
    for kind, take in ((GROUPS, cut_groups), (UNITS, cut_units)):
        if kind in counts:
            take(model, [_highest(one, counts[kind]) for one in gates[kind]])
    if HIDDEN in counts:
        cut_hidden(model, _highest(gates[HIDDEN], counts[HIDDEN]))


def _highest(gates: Tensor, count: int) -> Tensor:
    """Return the places of the `count` highest gates, in their order."""
    return gates.argsort(dim=-1, descending=True, stable=True)[:count].sort().values.cpu()


def unevenness(gates: Gates) -> str:
    """Return why a model under these gates can't be cut to a smaller one that loads without code, or ""."""
    texts = []
    for kind, name in ((ATTENTION, "attention"), (FEED_FORWARD, "feed-forward")):
        closed = [number for number, gate in enumerate(gates.get(kind, torch.ones(0)).tolist()) if not gate]
        if closed:
            texts.append(f"blocks {', '.join(map(str, closed))} have no {name}")
    for kind, name in ((GROUPS, "key-value groups"), (UNITS, "feed-forward units")):
        counts = (gates[kind] > 0).sum(-1).tolist() if kind in gates else []
        if len(set(counts)) > 1:
            texts.append(f"blocks keep from {min(counts)} to {max(counts)} {name}")
    return "; ".join(texts)
