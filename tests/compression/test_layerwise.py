from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import AutoConfig

import tiny
from potstill.compression.architecture import architecture_for
from potstill.compression.layerwise import block_layers, walk
from potstill.compression.pruning.wanda import InputNorms
from potstill.errors import BadInput


class Inputs:
    """Keeps all inputs as they are."""

    def __init__(self) -> None:
        self.parts: list[torch.Tensor] = []

    def add(self, inputs: torch.Tensor) -> None:
        self.parts.append(inputs.clone())


@pytest.fixture
def model(tmp_path):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny.causal_lm(tmp_path / "model", layers=3), dtype=torch.float32)


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(3, 300, (count, length), generator=generator) for count, length in ((2, 9), (1, 17))]


def seen_by(model, batches, path):
    """Return what the layer at `path` really gets in a plain forward pass."""
    kept = Inputs()
    layer = model.get_submodule(path)
    handle = layer.register_forward_pre_hook(lambda _, args: kept.add(args[0].reshape(-1, args[0].shape[-1])))
    with torch.no_grad():
        for batch in batches:
            model(input_ids=batch)
    handle.remove()
    return torch.cat(kept.parts)


def test_layers_are_recorded_as_in_a_plain_forward_pass(model, batches):
    recorded = {}
    for block in walk(model, batches):
        recorded |= block.record(lambda layer: Inputs())
    assert set(recorded) == set(block_layers(model))
    for path, kept in recorded.items():
        assert torch.allclose(torch.cat(kept.parts), seen_by(model, batches, path), atol=1e-5), path


def test_later_blocks_see_the_changed_outputs(model, batches):
    before = seen_by(model, batches, "model.layers.2.mlp.down_proj")
    recorded = {}
    for block in walk(model, batches):
        recorded |= block.record(lambda layer: Inputs())
        for layer in block.layers.values():
            layer.weight.data.mul_(0.5)
    now = torch.cat(recorded["model.layers.2.self_attn.q_proj"].parts)
    assert torch.allclose(now, seen_by(model, batches, "model.layers.2.self_attn.q_proj"), atol=1e-5)
    assert not torch.allclose(before, seen_by(model, batches, "model.layers.2.mlp.down_proj"), atol=1e-3)


def test_layers_with_the_same_input_share_a_statistic(model, batches):
    block = next(iter(walk(model, batches)))
    kept = block.record(lambda layer: InputNorms(layer.in_features))
    name = "model.layers.0.self_attn"
    assert kept[f"{name}.q_proj"] is kept[f"{name}.k_proj"] is kept[f"{name}.v_proj"]
    assert kept["model.layers.0.mlp.gate_proj"] is kept["model.layers.0.mlp.up_proj"]
    assert kept[f"{name}.o_proj"] is not kept[f"{name}.q_proj"]


def test_the_model_is_left_as_it_was(model, batches):
    with torch.no_grad():
        before = model(input_ids=batches[0]).logits
        for block in walk(model, batches):
            block.record(lambda layer: Inputs())
        assert torch.equal(model(input_ids=batches[0]).logits, before)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_only_the_blocks_linear_layers_are_walked(model):
    layers = block_layers(model)
    assert len(layers) == 3 * 7
    assert not any("lm_head" in path or "embed" in path for path in layers)
    assert all(isinstance(model.get_submodule(path), nn.Linear) for path in layers)


def test_activations_that_are_not_finite_name_the_layer(model, batches):
    model.model.layers[1].mlp.up_proj.weight.data[0, 0] = float("nan")
    with pytest.raises(BadInput, match=r"model\.layers\.1\.mlp\.down_proj .* NaN"):
        for block in walk(model, batches):
            block.record(lambda layer: Inputs())


def test_an_unknown_architecture_names_the_known_ones():
    with pytest.raises(BadInput, match=r"'mamba' can't be compressed yet; those that can are albert.*llama"):
        architecture_for(AutoConfig.for_model("mamba"))
    with pytest.raises(BadInput, match=r"'gemma3' see images too: take their text part first, by TextPart"):
        architecture_for(AutoConfig.for_model("gemma3"))
