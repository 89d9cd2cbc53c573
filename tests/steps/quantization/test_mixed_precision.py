from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, CompressedTensorsConfig

import compressing
import tiny
from potstill.compression.layerwise import block_layers
from potstill.compression.quantization.sensitivity import fused_units, rounded_to, storage
from potstill.errors import BadInput
from potstill.models.footprint import footprint
from potstill.steps.quantization.mixed_precision import MixedPrecision

IDS = [torch.arange(3, 60), torch.arange(200, 240)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.causal_lm(tmp_path_factory.mktemp("mixed") / "model", layers=1)


def mixed(folder, tmp_path, name="out", **fields):
    rows = compressing.rows(8)
    return compressing.run_step(MixedPrecision, folder, tmp_path, name, calibration=rows, **fields)


def test_layers_that_a_server_fuses_are_one_unit(folder):
    units = fused_units(AutoModelForCausalLM.from_pretrained(folder))
    assert units[0] == [f"model.layers.0.self_attn.{name}_proj" for name in "qkv"]
    assert [len(unit) for unit in units] == [3, 1, 2, 1]


def test_the_budget_holds_and_reloads(folder, tmp_path):
    out, context = mixed(folder, tmp_path, bits=6.0, choices=(4, 8, 16))
    model, lines = AutoModelForCausalLM.from_pretrained(folder), context.notes["sensitivity"]
    layers = block_layers(model)
    given = {path: line["bits"] for line in lines for path in line["layers"]}
    assert given.keys() == layers.keys() and len(set(given.values())) > 1
    spent = sum(storage(tuple(layers[path].weight.shape), bits) for path, bits in given.items())
    assert spent <= 6.0 * sum(layer.weight.numel() for layer in layers.values())
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    assert config["format"] == "mixed-precision"
    loaded = AutoModelForCausalLM.from_pretrained(
        out, dtype=torch.bfloat16, quantization_config=CompressedTensorsConfig(**{**config, "dequantize": True})
    )
    for path, layer in layers.items():
        weight = loaded.get_submodule(path).weight
        if given[path] == 4:
            assert len(weight.reshape(-1, 32)[0].unique()) <= 16
        else:
            wanted = layer.weight if given[path] == 16 else rounded_to(layer.weight.data, 8).dequantize()
            assert torch.equal(weight, wanted), path
    served = AutoModelForCausalLM.from_pretrained(out, dtype=torch.bfloat16)
    for ours, theirs in zip(compressing.logits(loaded, IDS), compressing.logits(served, IDS), strict=True):
        assert (ours - theirs).std() < 0.02 * ours.std()


@pytest.mark.parametrize("sensitivity", ["curvature", "trial"])
def test_8_bits_harm_less_than_4_and_more_bits_agree_more(folder, tmp_path, sensitivity):
    low, few = mixed(folder, tmp_path, "low", bits=4.6, sensitivity=sensitivity)
    high, many = mixed(folder, tmp_path, "high", bits=8.6, sensitivity=sensitivity)
    assert {line["bits"] for line in few.notes["sensitivity"]} == {4}
    assert {line["bits"] for line in many.notes["sensitivity"]} == {8}
    assert all(line["kl"]["8"] < line["kl"]["4"] for line in few.notes["sensitivity"])
    assert many.notes["agreement"]["kl"] < few.notes["agreement"]["kl"]
    assert footprint(low).weights_bytes < footprint(high).weights_bytes


def test_a_budget_below_the_least(folder, tmp_path):
    with pytest.raises(BadInput, match=r"bits: 4.2 bits a weight are below 4.5"):
        mixed(folder, tmp_path, bits=4.2)


def test_a_budget_that_leaves_all_as_it_is(folder, tmp_path):
    with pytest.raises(BadInput, match="every layer stays in 16"):
        mixed(folder, tmp_path, bits=16, choices=(8, 16))


def test_nothing_to_choose():
    assert "leave nothing to choose" in str(next(iter(MixedPrecision("m", calibration="r", choices=(4,)).check())))
