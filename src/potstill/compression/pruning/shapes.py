"""Which sizes a model can be cut to, so that kernels are aligned and transformers and vLLM load it without code.

Facts of transformers 5.19 and vLLM 0.32, which `Architecture.heads` holds by type: Qwen3 and Llama read `head_dim` from
the config, so that heads can go while the hidden size stays (Llama's config wants the hidden size to be a multiple of
the heads even so). vLLM's Qwen2, GPT-2 and BERT compute the size of a head as hidden size / heads, so that both have to
shrink together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from potstill.compression.architecture import architecture_of, blocks_of, key_value_heads
from potstill.compression.block_parts import Architecture
from potstill.compression.pruning.slicing import head_width, linear

if TYPE_CHECKING:
    from torch import nn

    from potstill.compression.pretrained import ModelConfig, PretrainedModel


@dataclass(frozen=True)
class Shape:
    """The sizes of a model whose blocks are all alike."""

    layers: int
    """Blocks."""
    hidden: int
    """Hidden channels."""
    units: int
    """Feed-forward units of a block."""
    heads: int
    """Query heads of a block."""
    groups: int
    """Key-value heads of a block; `heads` where each query head has its own."""
    head_size: int
    """Features of a head."""

    @property
    def per_group(self) -> int:
        """Query heads that share a key-value head."""
        return self.heads // self.groups

    def described(self) -> dict[str, int]:
        """Return the sizes by the names that configs use."""
        return {
            "num_hidden_layers": self.layers,
            "hidden_size": self.hidden,
            "intermediate_size": self.units,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.groups,
            "head_dim": self.head_size,
        }


def shape_of(model: PretrainedModel) -> Shape:
    """Return the sizes of a model of transformers.

    Raises:
        BadInput: its type is not known.
    """
    arch, config = architecture_of(model), model.config
    blocks = blocks_of(model)[1]
    return Shape(
        layers=len(blocks),
        hidden=int(config.hidden_size),
        units=_units(arch, config, blocks[0]),
        heads=int(config.num_attention_heads),
        groups=key_value_heads(config),
        head_size=head_width(model),
    )


def _units(arch: Architecture, config: ModelConfig, block: nn.Module) -> int:
    """Return the feed-forward units of a block; of one expert, in a mixture."""
    if not arch.has_experts:
        return linear(block, arch.down).in_features
    return int(getattr(config, "moe_intermediate_size", None) or config.intermediate_size)


def with_heads(shape: Shape, heads: int) -> Shape:
    """Return `shape` with so many query heads, and the key-value heads that they need."""
    return replace(shape, heads=heads, groups=max(heads // shape.per_group, 1))


def problems(kind: str, arch: Architecture, old: Shape, new: Shape, align: int) -> Iterator[str]:
    """Yield why a model of type `kind` can't be cut from `old` to `new`, each with what would fit.

    Args:
        kind: `model_type` of the config.
        arch: its parts.
        old: sizes of the model.
        new: sizes that are wanted.
        align: what a size that changes must be a multiple of.
    """
    yield from _width("intermediate_size", old.units, new.units, align)
    yield from _width("hidden_size", old.hidden, new.hidden, align)
    if arch.has_experts and (new.units, new.hidden) != (old.units, old.hidden):
        yield (
            f"a model of type {kind!r} is a mixture of experts, whose units and channels can't be cut here: leave "
            "them, and take ExpertPrune or DepthPrune"
        )
    if not 1 <= new.heads <= old.heads:
        yield f"heads={new.heads}: the model has {old.heads}, so take 1 to {old.heads}"
    elif new.heads % old.per_group:
        fitting = ", ".join(str(count) for count in range(old.per_group, old.heads + 1, old.per_group))
        yield (
            f"heads={new.heads} splits a key-value group: {old.per_group} query heads share a key-value head, so "
            f"take one of {fitting}"
        )
    else:
        yield from _heads(kind, arch, old, new, align)


def _heads(kind: str, arch: Architecture, old: Shape, new: Shape, align: int) -> Iterator[str]:
    """Yield what is wrong with whole key-value groups."""
    width = new.heads * new.head_size
    if new.heads != old.heads and width % align:
        yield (
            f"heads={new.heads} of {new.head_size} features are {width}, not a multiple of {align}: take other "
            f"heads, or align={_largest_divisor(width, align)}"
        )
    if new.heads != old.heads and arch.heads == "kept":
        yield f"heads={new.heads}: those of a model of type {kind!r} can't go, as {arch.heads_kept}: keep {old.heads}"
        return
    changed = (new.heads, new.hidden) != (old.heads, old.hidden)
    if changed and arch.heads in ("width", "kept") and width != new.hidden:
        yield (
            f"a model of type {kind!r} has no head_dim in its config (or vLLM does not read it), so heads x "
            f"{new.head_size} must be hidden_size: {new.heads} heads go with hidden_size={width}, and "
            f"hidden_size={new.hidden} with heads={new.hidden / new.head_size:g}; heads alone can go from models whose "
            "config says how large one is, such as llama and qwen3"
        )
    if changed and arch.heads == "square" and new.hidden % new.heads:
        fitting = [count for count in range(old.per_group, old.heads + 1, old.per_group) if not new.hidden % count]
        yield (
            f"heads={new.heads}: the hidden_size of models of type {kind!r}, {new.hidden}, must be a multiple of its "
            f"heads: take heads={' or '.join(map(str, fitting))}, or another hidden_size"
            if fitting
            else f"hidden_size={new.hidden}: of a model of type {kind!r} it must be a multiple of its {new.heads} heads"
        )


def _width(name: str, old: int, new: int, align: int) -> Iterator[str]:
    """Yield what is wrong with a number of units or channels."""
    if not 1 <= new <= old:
        yield f"{name}={new}: the model has {old}, so take a multiple of {align} from {align} to {old}"
    elif new != old and new % align:
        below, above = new // align * align, (new // align + 1) * align
        fitting = [str(size) for size in (below, above) if 0 < size <= old]
        remedy = f"take {' or '.join(fitting)}, or " if fitting else ""
        yield f"{name}={new} is not a multiple of {align}: {remedy}align={_largest_divisor(new, align)}"


def _largest_divisor(size: int, align: int) -> int:
    """Return the largest power of two below `align` that divides `size`."""
    # `size & -size` is the lowest set bit: the largest power of two that divides it
    return min(size & -size, 1 << (max(align, 1).bit_length() - 1))


def shared(kind: str, arch: Architecture, old: Shape, sparsity: float, align: int) -> Shape:
    """Return the sizes that take about the share `sparsity` from the feed-forward units and the heads.

    Each is rounded to the nearest that fits; heads stay where they can't go alone, and one group stays in any case.
    """
    units = max(round((1 - sparsity) * old.units / align), 1) * align
    best = replace(old, units=min(units, old.units))
    wanted = (1 - sparsity) * old.heads
    counts = range(old.per_group, old.heads + 1, old.per_group)
    possible = [with_heads(best, count) for count in counts]
    fitting = [one for one in possible if not any(problems(kind, arch, old, one, align))]
    return min(fitting, key=lambda one: abs(one.heads - wanted), default=best)
