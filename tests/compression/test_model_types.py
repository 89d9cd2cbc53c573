"""What is said of each model type is true: its parts are where they are said to be, and are cut and scaled together."""

from __future__ import annotations

import pytest
import torch

import typed_models
from potstill.compression.architecture import (
    architecture_of,
    blocks_of,
    head_size,
    key_value_heads,
    with_linear_layers,
    with_own_layers,
)
from potstill.compression.block_parts import norms_of
from potstill.compression.layerwise import block_layers, walk
from potstill.compression.model_types import DESCRIPTIONS, WHY_NOT
from potstill.compression.pruning.gates import readers_of_heads, readers_of_units, zero_groups
from potstill.compression.pruning.shapes import shape_of
from potstill.compression.pruning.slicing import cut_groups, cut_hidden, cut_units
from potstill.compression.pruning.wanda import InputNorms
from potstill.compression.quantization.scale_folding import everywhere, in_block, into_norm
from potstill.errors import BadInput
from promises import logits

TYPES = {**typed_models.CAUSAL, **typed_models.ENCODERS}


@pytest.fixture(params=TYPES)
def model(request):
    made = typed_models.made(request.param)
    with_linear_layers(made)
    return made


def test_every_description_is_tried_on_a_model():
    seeing = {kind for kind, *_ in typed_models.VISION.values()}
    tried = {kind for kind, _ in typed_models.ALL.values()} - seeing
    assert {DESCRIPTIONS[kind] for kind in tried - WHY_NOT.keys()} == set(DESCRIPTIONS.values())


def test_blocks_have_the_parts_and_no_linear_layer_besides(model):
    arch, config = architecture_of(model), model.config
    for block in blocks_of(model)[1]:
        assert norms_of(arch, block)
        parts = {*arch.queries, arch.attended, *arch.units, arch.down}
        assert parts == {name for name, layer in block.named_modules() if isinstance(layer, torch.nn.Linear)}
        width = config.num_attention_heads * head_size(config)
        assert block.get_submodule(arch.attended).in_features == width
        rows = sum(block.get_submodule(path).out_features for path in arch.queries)
        assert rows == width + 2 * key_value_heads(config) * head_size(config)


def test_the_walk_ends_where_the_model_does(model):
    ids = torch.arange(5, 17)[None]
    *_, last = walk(model, [ids])
    layers = model.config.num_hidden_layers if architecture_of(model).is_repeated else 1
    assert len(last.inputs) == layers
    kept: list[torch.Tensor] = []
    handle = blocks_of(model)[1][-1].register_forward_hook(
        lambda _, __, out: kept.append(out[0] if isinstance(out, tuple) else out)
    )
    with torch.no_grad():
        model(input_ids=ids)
    handle.remove()
    assert torch.equal(list(last.outputs())[-1], kept[-1])


@torch.no_grad()
def test_units_and_heads_that_nothing_reads_are_cut_without_a_change(model, tmp_path):
    shape, arch = shape_of(model), architecture_of(model)
    for layer in readers_of_units(model):
        layer.weight[:, ::2] = 0
    if arch.heads != "kept":
        # the first group: in a fused projection its rows lie apart, or together
        zero_groups(model, [[0]] * len(blocks_of(model)[1]), shape.per_group, shape.head_size)
    before = logits(model)
    cut_units(model, [range(1, shape.units, 2)] * len(blocks_of(model)[1]))
    assert torch.allclose(logits(model), before, atol=1e-4)
    if arch.heads != "kept":
        cut_groups(model, [range(1, shape.groups)] * len(blocks_of(model)[1]))
        assert torch.allclose(logits(model), before, atol=1e-4)
        assert shape_of(model).groups == shape.groups - 1
    if arch.heads in ("free", "kept"):
        with_own_layers(model)
        model.save_pretrained(tmp_path)
        again = type(model).from_pretrained(tmp_path, attn_implementation="eager")
        assert torch.allclose(logits(again), before, atol=1e-4)


@torch.no_grad()
def test_hidden_channels_and_heads_are_cut_to_a_model_that_loads(model, tmp_path):
    shape, arch = shape_of(model), architecture_of(model)
    if arch.heads == "kept":
        pytest.skip(arch.heads_kept)
    groups = max(shape.groups // 2, 1)
    cut_groups(model, [range(groups)] * len(blocks_of(model)[1]))
    cut_hidden(model, range(0, shape.hidden, 2))
    in_memory = logits(model)
    with_own_layers(model)
    model.save_pretrained(tmp_path)
    again, report = type(model).from_pretrained(tmp_path, attn_implementation="eager", output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    assert torch.allclose(logits(again), in_memory, atol=1e-4)


@torch.no_grad()
def test_scales_that_are_folded_change_nothing(model):
    try:
        folds = everywhere(model)
    except BadInput as refusal:
        assert architecture_of(model).is_encoder or "norm" in str(refusal)
        return
    before, draw = logits(model), torch.Generator().manual_seed(0)
    for block in blocks_of(model)[1]:
        for fold in in_block(folds, block):
            source = block.get_submodule(fold.source)
            readers = [block.get_submodule(path) for path in fold.readers]
            scale = torch.rand(readers[0].in_features, generator=draw) + 0.5
            if isinstance(source, torch.nn.Linear):
                source.weight.div_(scale[:, None])
                if source.bias is not None:
                    source.bias.div_(scale)
            else:
                scale = into_norm(source, scale, architecture_of(model).norm_offset)
            for reader in readers:
                reader.weight.mul_(scale)
    assert (logits(model) - before).abs().max() < 1e-4 * before.abs().max()


def test_all_linear_layers_of_the_blocks_are_the_readers_and_makers(model):
    layers = block_layers(model)
    assert {id(layer) for layer in (*readers_of_units(model), *readers_of_heads(model))} <= set(
        map(id, layers.values())
    )


@torch.no_grad()
@pytest.mark.parametrize("name", ["Mixtral", "Qwen3-MoE", "DeepSeek-V3"])
def test_experts_are_layers_and_are_joined_again_to_the_bit(name, tmp_path):
    made = typed_models.made(name)
    before = {key: weight.clone() for key, weight in made.state_dict().items()}
    wanted = logits(made)
    with_linear_layers(made)
    assert torch.allclose(logits(made), wanted, atol=1e-4)
    experts = [path for path in block_layers(made) if ".experts.0." in path]
    assert {path.rpartition(".")[2] for path in experts} == {"gate_proj", "up_proj", "down_proj"}
    ids = torch.arange(5, 9)[None]
    for block in walk(made, [ids]):
        statistics = block.record(lambda layer: InputNorms(layer.in_features))
        # 4 tokens reach 2 experts each, and all layers have a statistic
        assert set(statistics) == set(block.layers)
    with_own_layers(made)
    after = made.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)
