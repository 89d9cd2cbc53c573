"""Cut feed-forward units, attention heads and hidden channels out of a loaded model, and set its config accordingly.

What is left is an ordinary, smaller model of the same type: transformers and vLLM load it without code, as long as
every block keeps as many (`compression.shapes` says which numbers a model type can have). Cutting what nothing reads
(units or heads whose reading weights are zero) changes no output. Norms are over the channels that are left, as in
Minitron (Muralidharan et al. 2024, section 2).

Shapes: O output features, I input features, H hidden channels.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from potstill.compression.architecture import architecture_of, blocks_of, key_value_heads
from potstill.compression.block_parts import features, norms_of, query_rows, unit_rows

if TYPE_CHECKING:
    from potstill.compression.pretrained import ModelConfig, PretrainedModel

MAKERS = (
    *("dense", "pooler", "pre_classifier", "vocab_transform"),
    *("embeddings_project", "embedding_hidden_mapping_in", "project_in"),
)
"""Names of layers outside of the blocks that make hidden channels: of hidden ones, or of embeddings."""
AS_HIDDEN = ("embedding_size", "pooler_hidden_size", "word_embed_proj_dim")
"""Fields of configs that are the hidden size in most models of a type."""
Kept = Sequence[int] | Tensor
"""What stays, by number from 0, in the order that it is to have."""


def cut_units(model: PretrainedModel, keep: Sequence[Kept]) -> None:
    """Leave only the `keep` feed-forward units, equally many in every block.

    Args:
        model: a model of transformers whose layers are `nn.Linear` (see `architecture.with_linear_layers`).
        keep: per block the units that stay.
    """
    arch = architecture_of(model)
    chosen = _even(model, keep)
    for block, index in zip(blocks_of(model)[1], chosen, strict=True):
        for path, rows in unit_rows(arch, index, linear(block, arch.down).in_features):
            keep_outputs(linear(block, path), rows)
        keep_inputs(linear(block, arch.down), index)
    setattr(model.config, arch.unit_field, len(chosen[0]))


def cut_groups(model: PretrainedModel, keep: Sequence[Kept]) -> None:
    """Leave only the `keep` key-value groups: each a key and value head with the query heads that share it.

    Where queries share nothing (GPT-2, BERT) a group is one head.

    Args:
        model: a model of transformers whose layers are `nn.Linear`.
        keep: per block the groups that stay, equally many.
    """
    arch, config = architecture_of(model), model.config
    chosen = _even(model, keep)
    size, groups = head_width(model), key_value_heads(config)
    per_group = config.num_attention_heads // groups
    _write_head_width(model)
    for block, index in zip(blocks_of(model)[1], chosen, strict=True):
        for path, rows in query_rows(arch, index, per_group, groups, size):
            keep_outputs(linear(block, path), rows)
        keep_inputs(linear(block, arch.attended), features(index, per_group * size))
        if arch.per_head:
            owner, _, name = arch.per_head.rpartition(".")
            part = block.get_submodule(owner)
            setattr(part, name, _part(part.get_parameter(name), features(index, per_group), 0))
    config.num_attention_heads = per_group * len(chosen[0])
    if getattr(config, arch.group_field, None) is not None:
        setattr(config, arch.group_field, len(chosen[0]))
    _update_modules(model)


def cut_hidden(model: PretrainedModel, keep: Kept) -> None:
    """Leave only the `keep` hidden channels: of embeddings, norms, every projection, pooler and head.

    Args:
        model: a model of transformers whose layers are `nn.Linear`.
        keep: the channels that stay, the same in every block, since the residual stream passes through all.
    """
    arch, config = architecture_of(model), model.config
    path, blocks = blocks_of(model)
    index = torch.as_tensor(keep, dtype=torch.long)
    old = int(config.hidden_size)
    _write_head_width(model)
    # GPT-2 leaves `n_inner` None, which stands for 4 times the hidden size, and would change with it
    setattr(config, arch.unit_field, linear(blocks[0], arch.down).in_features)
    tied: dict[int, tuple[Tensor, nn.Parameter]] = {}
    for block in blocks:
        for name in (*arch.queries, *arch.units):
            keep_inputs(linear(block, name), index)
        for name in (arch.attended, arch.down):
            keep_outputs(linear(block, name), index)
        for norm in norms_of(arch, block):
            _keep_norm(norm, index)
    for name, module in model.named_modules():
        if not name.startswith(f"{path}."):
            _cut_around(name, module, index, old, tied)
    config.hidden_size = len(index)
    for name in AS_HIDDEN:
        if getattr(config, name, None) == old:
            setattr(config, name, len(index))
    _update_modules(model)


def linear(block: nn.Module, path: str) -> nn.Linear:
    """Return the linear layer at `path` in a block."""
    layer = block.get_submodule(path)
    assert isinstance(layer, nn.Linear), f"{path} is a {type(layer).__name__}: see architecture.with_linear_layers"
    return layer


@torch.no_grad()
def keep_outputs(layer: nn.Linear, index: Tensor) -> None:
    """Leave only some output features of `layer`, weight [O, I]."""
    layer.weight = _part(layer.weight, index, 0)
    if layer.bias is not None:
        layer.bias = _part(layer.bias, index, 0)
    layer.out_features = len(index)


@torch.no_grad()
def keep_inputs(layer: nn.Linear, index: Tensor) -> None:
    """Leave only some input features of `layer`, weight [O, I]."""
    layer.weight = _part(layer.weight, index, 1)
    layer.in_features = len(index)


def _part(weight: Tensor, index: Tensor, dimension: int) -> nn.Parameter:
    sliced = weight.data.index_select(dimension, index.to(weight.device))
    return nn.Parameter(sliced, requires_grad=weight.requires_grad)


def _keep_norm(norm: nn.Module, index: Tensor) -> None:
    for name, value in list(norm.named_parameters(recurse=False)):
        setattr(norm, name, _part(value, index, 0))
    if isinstance(norm, nn.LayerNorm):
        # LayerNorm checks its input's width against it; RMSNorm has no such attribute
        norm.normalized_shape = (len(index),)


def _cut_around(
    name: str, module: nn.Module, index: Tensor, old: int, tied: dict[int, tuple[Tensor, nn.Parameter]]
) -> None:
    """Cut a module outside of the blocks; `tied` maps ids of old weights to the cut ones."""
    if isinstance(module, nn.Embedding) and module.embedding_dim == old:
        module.weight = _once(module.weight, index, tied)
        module.embedding_dim = len(index)
    elif isinstance(module, nn.Linear):
        # by name: a classifier may have as many classes as there are channels
        if name.rpartition(".")[2] in MAKERS and module.out_features == old:
            keep_outputs(module, index)
        if module.in_features == old:
            module.weight = _once(module.weight, index, tied)
            module.in_features = len(index)
    elif not isinstance(module, (nn.Embedding, nn.Linear)) and _is_norm(module, old):
        _keep_norm(module, index)


def _once(weight: Tensor, index: Tensor, tied: dict[int, tuple[Tensor, nn.Parameter]]) -> nn.Parameter:
    """Return `weight` with only some columns; tied weights stay one object."""
    if id(weight) not in tied:
        # the old weight is held too: once freed, its id could be given to another tensor
        tied[id(weight)] = weight, _part(weight, index, 1)
    return tied[id(weight)][1]


def _is_norm(module: nn.Module, width: int) -> bool:
    weight = dict(module.named_parameters(recurse=False)).get("weight")
    return weight is not None and tuple(weight.shape) == (width,)


def head_width(model: PretrainedModel) -> int:
    """Return the features of a head as the weights have them: the config of a half cut model may say otherwise."""
    attended = linear(blocks_of(model)[1][0], architecture_of(model).attended)
    return attended.in_features // int(model.config.num_attention_heads)


def _write_head_width(model: PretrainedModel) -> None:
    """Write the head size into the config, if it has a field for it: hidden size / heads no longer gives it."""
    if _says_head_width(model.config):
        model.config.head_dim = head_width(model)


def _says_head_width(config: ModelConfig) -> bool:
    """Return whether a config has a field for the size of a head; of some it is the hidden size / heads."""
    return hasattr(config, "head_dim") and not isinstance(getattr(type(config), "head_dim", None), property)


def _update_modules(model: PretrainedModel) -> None:
    """Write sizes that modules keep as attributes, such as heads, as a model made from the changed config has them."""
    config = copy.deepcopy(model.config)
    if not _says_head_width(config):
        # as wide as the heads: half cut, hidden size / heads would give another size of a head
        config.hidden_size = config.num_attention_heads * head_width(model)
    with torch.device("meta"):
        fresh: Any = type(model)._from_config(config)  # type: ignore[attr-defined] # of transformers
    modules = dict(fresh.named_modules())
    for path, part in model.named_modules():
        own, module = modules.get(path), cast("Any", part)
        if own is None or type(own) is not type(module):
            continue
        # layers with weights of their own have sizes that were set when these were cut
        has_weights = any(True for _ in module.parameters(recurse=False))
        for name, value in () if has_weights else vars(own).items():
            if type(value) in (int, float) and getattr(module, name, value) != value:
                setattr(module, name, value)
        if hasattr(own, "scalar_embed_scale"):  # Gemma multiplies embeddings by the root of the hidden size
            module.embed_scale.fill_(model.config.hidden_size**0.5)


def _even(model: PretrainedModel, keep: Iterable[Kept]) -> list[Tensor]:
    """Return what stays in each block as indices.

    Raises:
        ValueError: not the same number for each block.
    """
    chosen = [torch.as_tensor(one, dtype=torch.long) for one in keep]
    blocks = len(blocks_of(model)[1])
    sizes = {len(one) for one in chosen}
    if len(chosen) != blocks or len(sizes) != 1 or 0 in sizes:
        counts = [len(one) for one in chosen]
        raise ValueError(f"{counts} kept in {blocks} blocks: every block must keep as many, and one at least")
    return chosen
