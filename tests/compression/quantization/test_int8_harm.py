"""Harm of 8 bits to second order: what a layer's rounded inputs do to what the model puts out, at several scales."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM

import tiny
from potstill.compression.agreement import compared, outputs
from potstill.compression.layerwise import block_layers
from potstill.compression.quantization import int8_harm
from potstill.compression.quantization.sensitivity import rounded_alone


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny.causal_lm(tmp_path_factory.mktemp("harm") / "model", layers=2)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def texts(count, length=24):
    generator = torch.Generator().manual_seed(0)
    return [(torch.randint(3, 250, (length,), generator=generator), number % 5) for number in range(count)]


def harms_of(model, scales=(None,), count=48):
    layers = block_layers(model)
    return int8_harm.harms(model, layers, {path: list(scales) for path in layers}, texts(count))


def test_it_is_near_the_divergence_of_each_layer_tried_alone(model):
    sample = texts(48)
    before = outputs(model, sample)
    harms = harms_of(model)
    for path, layer in block_layers(model).items():
        with rounded_alone({path: layer}, 8):
            measured = compared(model, before, outputs(model, sample))["kl"]
        assert 0.5 < harms[path][0] / measured < 2, path


def test_a_scale_that_moves_an_outlier_harms_less_and_one_of_ones_changes_nothing(model):
    layer = block_layers(model)["model.layers.1.mlp.down_proj"]
    outlier = torch.ones(layer.in_features)
    outlier[5] = 64.0
    # the same function with one large input feature
    handle = layer.register_forward_pre_hook(lambda _, args: (args[0] * outlier,))
    weight = layer.weight.data.clone()
    layer.weight.data /= outlier
    try:
        scales = {"down": [None, torch.ones_like(outlier), outlier]}
        plain, ones, moved = int8_harm.harms(model, {"down": layer}, scales, texts(8))["down"]
    finally:
        handle.remove()
        layer.weight.data = weight
    assert ones == plain
    assert moved < 0.1 * plain


def test_tokens_in_any_order_give_the_same_as_texts():
    """Experts get the tokens of all repetitions as one list."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(6, 8, generator=generator)
    once, slopes = torch.randn(2, 5, 8, generator=generator), torch.randn(4, 5, 6, generator=generator)
    inputs = once.repeat(int8_harm.DRAWS, 1, 1)
    order = torch.randperm(20, generator=generator)
    listed = int8_harm.squared_slopes(weight, inputs.reshape(-1, 8)[order], slopes.reshape(-1, 6)[order], [None])
    assert int8_harm.squared_slopes(weight, inputs, slopes, [None]) == pytest.approx(listed, rel=1e-5)


def test_the_model_is_left_as_it_was_and_the_seed_gives_the_same(model):
    weights = {name: weight.clone() for name, weight in model.named_parameters()}
    first = harms_of(model, count=3)
    assert first == harms_of(model, count=3)
    assert all(torch.equal(weight, weights[name]) and weight.grad is None for name, weight in model.named_parameters())
