"""The parts of a block: what is said of a model type, and which rows of its projections belong together.

Shapes: O output features, I input features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Fold:
    """One set of inputs; paths are those inside a block."""

    source: str
    """What makes the inputs: a norm or a linear layer."""
    readers: tuple[str, ...]
    """All layers that read them."""


@dataclass(frozen=True)
class Runtimes:
    """What runtimes of exports have built in of a type, where it does not follow from its parts or its config."""

    llama_name: str = ""
    """llama.cpp's name of the type, where it is not transformers'."""
    llama_turns_pairs: bool = False
    """Whether llama.cpp rotates pairs of features (2i, 2i + 1) of a head, where transformers takes (i, i + D/2)."""
    llama_period: int = 0
    """llama.cpp has it built in that every so many-th layer is of the other kind; 0 where all are alike."""
    llama_wide_at: int = 0
    """How many layers a model has whose attention llama.cpp scales by hidden size / heads, rather than by the size of a
    head: the largest of the type (27B)."""
    llama_keeps_window: bool = False
    """Whether llama.cpp looks back no further than the window of attention."""
    llama_layout: str = ""
    """Name of the order of fused rows that llama.cpp's converter writes into the file."""
    genai: Literal["fails", "builds", "builds without a window"] = "fails"
    """Whether the builder of onnxruntime-genai writes the type right from configs of transformers 5."""
    vllm_lacks: str = ""
    """What vLLM does not compute as transformers does, in models with this config."""
    executorch: bool = False
    """Whether it was exported to ExecuTorch, and answered there as here."""


@dataclass(frozen=True)
class Architecture:
    """The parts of one kind of model; paths are those inside a block, except where it is said."""

    blocks: str
    """Path of the list of blocks in the base model."""
    decoder_blocks: str = ""
    """Path of a second list, that of the decoder of an encoder-decoder; its other parts need not be said."""
    queries: tuple[str, ...] = ()
    """Projections whose output features are heads: query, key, value; or one that is fused."""
    attended: str = ""
    """Projection that reads the heads."""
    units: tuple[str, ...] = ()
    """Projections whose output features are the feed-forward units: gate and up, or the one before the activation."""
    down: str = ""
    """Projection that reads the feed-forward units."""
    norms: tuple[str, ...] = ()
    """Norms over the hidden size; a model may lack some."""
    folds: tuple[Fold, ...] = ()
    """Norms whose output nothing but these layers reads, so that a scale of it can go into the norm."""
    fused: Literal["parts", "groups"] = "parts"
    """Rows of a fused projection: all queries, all keys, all values; or group by group its queries, key and value."""
    units_fused: bool = False
    """Whether one projection makes gate and up, in halves."""
    unit_field: str = "intermediate_size"
    """Field of the config that counts the feed-forward units."""
    group_field: str = "num_key_value_heads"
    """Field of the config that counts key-value heads, if it has one."""
    one_group: bool = False
    """Whether all queries share one key-value head, whatever fields say."""
    norm_offset: float = 0.0
    """What a norm adds to its weight before it multiplies: 1 in Gemma."""
    norms_behind: bool = False
    """Whether norms lie behind attention and feed-forward, before they are added to the residual stream."""
    heads: Literal["free", "square", "width", "kept"] = "width"
    """How many heads can go: any (`free`), if the hidden size stays a multiple of their number (`square`), only with
    the hidden size, which their features make up (`width`), or none (`kept`)."""
    per_head: str = ""
    """A weight with one number for each query head, where there is one: gpt-oss's sinks."""
    heads_kept: str = ""
    """Why heads can't go, where they can't."""
    is_encoder: bool = False
    """Whether it reads both ways, and predicts no next token."""
    mask: Literal["added", "plain"] = "added"
    """What an encoder that is exported is given as its mask: numbers that are added to scores, or ones and zeros."""
    caches_all_heads: bool = False
    """Whether the cache holds keys and values for each query head, though heads share them."""
    puts_out_tuple: bool = False
    """Whether a block puts out its hidden states as the first of a tuple."""
    puts_out_bias: bool = False
    """Whether a block puts out, behind its hidden states, the bias of attention that the blocks after it add too: the
    first makes it for all, so that it must stay."""
    no_packing: str = ""
    """Why transformers can't load its layers with 4-bit weights packed, where it can't."""
    has_experts: bool = False
    """Whether the feed-forward of some blocks is a mixture of experts, so that `units` and `down` name no one layer."""
    stored_names: tuple[tuple[str, str], ...] = ()
    """Parts of the names of layers, and what checkpoints have in their place: those of experts, in some types."""
    for_potstill_alone: bool = False
    """Whether vLLM's loader can't read quantized experts of the type."""
    no_fp8: str = ""
    """Why transformers can't run its layers with weights in 8-bit floats, where it can't."""
    no_bitsandbytes: str = ""
    """Why transformers can't load its layers as those of bitsandbytes, where it can't."""
    is_repeated: bool = False
    """Whether the one block stands for all layers, which share its weights."""
    runtimes: Runtimes = Runtimes()
    """What runtimes of exports have built in of it."""

    @property
    def is_fused(self) -> bool:
        """Return whether query, key and value are one projection."""
        return len(self.queries) == 1


Description = Architecture | Callable[[Any], Architecture]
"""What is said of a type: its parts, or how they follow from a config."""


def query_rows(
    arch: Architecture, index: Tensor, per_group: int, groups: int, size: int
) -> Iterator[tuple[str, Tensor]]:
    """Yield each projection that makes heads, with its rows of some key-value groups.

    Args:
        arch: of the model.
        index: numbers of the key-value groups.
        per_group: query heads of a group.
        groups: key-value groups of a block.
        size: features of a head.
    """
    import torch

    queries, shared = features(index, per_group * size), features(index, size)
    if not arch.is_fused:
        yield from zip(arch.queries, (queries, shared, shared), strict=True)
    elif arch.fused == "groups":
        yield arch.queries[0], features(index, (per_group + 2) * size)
    else:
        # the keys start behind all queries, the values behind the keys
        parts = [queries, *(shared + groups * size * part for part in (per_group, per_group + 1))]
        yield arch.queries[0], torch.cat(parts)


def unit_rows(arch: Architecture, index: Tensor, units: int) -> Iterator[tuple[str, Tensor]]:
    """Yield each projection that makes feed-forward units, with its rows of some of the `units`."""
    import torch

    rows = torch.cat([index, index + units]) if arch.units_fused else index
    yield from ((path, rows) for path in arch.units)


def features(heads: Tensor, size: int) -> Tensor:
    """Return the features of `heads` of `size` features each.

    >>> import torch
    >>> features(torch.tensor([0, 2]), 2).tolist()
    [0, 1, 4, 5]
    """
    import torch

    return (heads[:, None] * size + torch.arange(size)).flatten()


def part_of(block: nn.Module, path: str) -> nn.Module | None:
    """Return the part at `path` in a block; None where the block has none with weights there."""
    try:
        part = block.get_submodule(path)
    except AttributeError:
        return None
    return part if any(True for _ in part.parameters()) else None


def norms_of(arch: Architecture, block: nn.Module) -> list[nn.Module]:
    """Return the norms over the hidden size that a block has."""
    return [norm for norm in (part_of(block, path) for path in arch.norms) if norm is not None]


def passing_on(arch: Architecture, block: nn.Module) -> Callable[..., Any]:
    """Return a forward pass in place of that of `block` which puts the hidden states out as they came in."""
    own = block.forward

    def forward(states: Tensor, *args: object, **named: object) -> Any:
        if arch.puts_out_bias:
            return (states, *own(states, *args, **named)[1:])
        return (states, None) if arch.puts_out_tuple else states

    return forward
