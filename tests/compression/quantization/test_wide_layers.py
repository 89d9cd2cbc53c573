from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

import tiny
from potstill.compression.agreement import compared, outputs
from potstill.compression.layerwise import block_layers
from potstill.compression.quantization import rounding, wide_layers
from potstill.compression.quantization.activations import quantized_activations

TEXTS = [(torch.arange(3, 60), 0), (torch.arange(200, 240), 10), (torch.arange(100, 157), 0)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny.causal_lm(tmp_path_factory.mktemp("wide") / "model", layers=3)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def test_a_trial_from_the_layers_block_on_is_that_of_the_whole_model(model):
    layers = {path: layer for path, layer in block_layers(model).items() if path.endswith(("down_proj", "o_proj"))}
    quantized = {path: rounding.quantize(layer.weight.data, 8) for path, layer in layers.items()}
    weights = {path: layer.weight.data.clone() for path, layer in layers.items()}
    harms = wide_layers.harms(model, quantized, TEXTS)
    assert harms.keys() == layers.keys()
    assert all(torch.equal(layer.weight, weights[path]) for path, layer in layers.items())
    exact = outputs(model, TEXTS)
    for path, layer in layers.items():
        layer.weight.data = quantized[path].dequantize()
        with quantized_activations([layer]):
            expected = compared(model, exact, outputs(model, TEXTS))["kl"]
        layer.weight.data = weights[path]
        assert harms[path] == pytest.approx(expected, rel=1e-3, abs=1e-9), path
        assert harms[path] > 0


def test_the_most_harmed_stay_wide_until_the_rest_is_harmless():
    harm = {"a": 0.01, "b": 0.3, "c": 0.02, "d": 0.0001}
    weights = dict.fromkeys(harm, 10)
    assert wide_layers.left_wide(harm, weights, budget=100, enough=0.005) == ["b", "c", "a"]
    assert wide_layers.left_wide(harm, weights, budget=25, enough=0.005) == ["b", "c"]
    assert wide_layers.left_wide(harm, weights, budget=100, enough=1.0) == []
    assert wide_layers.left_wide(harm, weights, budget=5, enough=0.0) == []
