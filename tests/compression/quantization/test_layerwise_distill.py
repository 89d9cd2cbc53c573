"""A quantized block that learns to do what it did before."""

from __future__ import annotations

from functools import partial

import pytest
import torch

import tiny
from potstill.compression.layerwise import walk
from potstill.compression.quantization import rounding
from potstill.compression.quantization.layerwise_distill import distill_block
from potstill.compression.quantization.straight_through import FakeQuantization


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.causal_lm(tmp_path_factory.mktemp("layerwise") / "model", layers=1)


def first_block(folder):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    # weights of a trained model's size: those that transformers starts from hardly change a block's input
    with torch.no_grad():
        for layer in model.model.layers[0].modules():
            if isinstance(layer, torch.nn.Linear):
                layer.weight.mul_(5)
    batches = [torch.randint(3, 380, (4, 16), generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    return next(walk(model, batches))


def fake(bits=4, group=32, activations=None):
    return FakeQuantization(partial(rounding.quantize, bits=bits, group_size=group), activations)


@pytest.mark.parametrize(("quantization", "below"), [(fake(), 0.75), (fake(8, None, 8), 1.0), (fake(2, 32), 0.5)])
def test_training_lowers_the_error_of_rounding(folder, quantization, below):
    block = first_block(folder)
    result = distill_block(block, quantization, passes=8, learning_rate=2e-3)
    assert result.error <= below * result.rounded_error
    # what is left in the block is what the integers stand for
    for path, layer in block.layers.items():
        assert torch.equal(layer.weight, result.quantized[path].dequantize()), path


def test_rounding_is_kept_where_training_fails(folder):
    expected = {path: rounding.quantize(layer.weight, 4, 32) for path, layer in first_block(folder).layers.items()}
    result = distill_block(first_block(folder), fake(), passes=1, learning_rate=10.0)
    assert result.error == result.rounded_error
    for path, quantized in result.quantized.items():
        assert torch.equal(quantized.values, expected[path].values), path


def test_the_error_is_that_of_the_blocks_outputs(folder):
    block = first_block(folder)
    whole = list(block.outputs())
    result = distill_block(block, fake(), passes=2, learning_rate=1e-3)
    differences = torch.cat([(new - old).flatten() for new, old in zip(block.outputs(), whole, strict=True)])
    assert float(differences.square().mean()) == pytest.approx(result.error, rel=1e-4)


def test_zeros_stay_zero(folder):
    block = first_block(folder)
    layer = next(iter(block.layers.values()))
    layer.weight.data[:, ::2] = 0
    distill_block(block, fake(), passes=2, learning_rate=1e-2)
    assert not layer.weight[:, ::2].any()
    assert layer.weight[:, 1::2].any()
