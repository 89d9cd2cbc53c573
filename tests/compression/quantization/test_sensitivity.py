from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

import tiny
from potstill.compression.agreement import outputs
from potstill.compression.formats.compressed_tensors import layer_tensors
from potstill.compression.layerwise import block_layers
from potstill.compression.quantization.sensitivity import (
    divergences,
    fused_units,
    rounded_alone,
    rounded_to,
    storage,
    table,
)

TEXTS = [(torch.arange(3, 60), 10), (torch.arange(200, 240), 0)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny.causal_lm(tmp_path_factory.mktemp("sensitivity") / "model", layers=1)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()


@pytest.mark.parametrize("bits", [4, 8])
def test_storage_is_what_the_file_holds(bits):
    result = rounded_to(torch.randn(64, 96).bfloat16(), bits)
    tensors = {name: value for name, value in layer_tensors(result).items() if name != "weight_shape"}
    assert storage((64, 96), bits) == 8 * sum(value.numel() * value.element_size() for value in tensors.values())


def test_only_the_layers_given_are_rounded_and_only_for_a_while(model):
    layers, before = block_layers(model), outputs(model, TEXTS)
    weights = {path: layer.weight.clone() for path, layer in layers.items()}
    unit = {path: layers[path] for path in fused_units(model)[0]}
    with rounded_alone(unit, 4):
        changed = {path for path, layer in layers.items() if not torch.equal(layer.weight, weights[path])}
    assert changed == set(unit)
    assert all(torch.equal(layer.weight, weights[path]) for path, layer in layers.items())
    assert all(torch.equal(old, new) for old, new in zip(before, outputs(model, TEXTS), strict=True))


def test_fewer_bits_cost_less_and_harm_more(model):
    layers = block_layers(model)
    unit = {path: layers[path] for path in fused_units(model)[2]}
    bits = (4, 8, 16)
    [(four, eight, sixteen)] = table([unit], bits, [divergences(model, unit, bits, TEXTS, outputs(model, TEXTS))])
    assert four.cost < eight.cost < sixteen.cost
    assert four.harm > eight.harm > sixteen.harm == 0
