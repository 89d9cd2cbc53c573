from __future__ import annotations

from functools import partial

import pytest
import torch

import tiny
from potstill.compression.layerwise import block_layers, walk
from potstill.compression.quantization import awq, rounding, scale_folding
from potstill.compression.quantization.gptq import layer_error

ROUNDED = partial(rounding.quantize, bits=4, group_size=32)


def salient(seed: int = 0):
    """Return weights [O, I] and inputs [N, I], a few of whose features are large: the paper's salient channels."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(400, 128, generator=generator)
    inputs[:, ::40] *= 30
    seen = awq.Inputs(128)
    for part in inputs.split(150):
        seen.add(part)
    return [torch.randn(rows, 128, generator=generator) for rows in (48, 16)], inputs, seen


def test_magnitudes_are_means_over_all_tokens():
    _, inputs, seen = salient()
    assert torch.allclose(seen.mean_magnitude(), inputs.abs().mean(0))
    assert torch.allclose(seen.mean(), inputs.T @ inputs / len(inputs), atol=1e-3)


def test_alpha_zero_scales_nothing():
    assert torch.equal(awq.candidate(torch.tensor([0.1, 5.0]), 0.0), torch.ones(2))
    assert torch.allclose(awq.candidate(torch.tensor([1.0, 4.0]), 0.5), torch.tensor([2**-0.5, 2**0.5]))


def test_search_finds_the_least_error_of_the_grid():
    weights, inputs, seen = salient()
    scale, alpha = awq.search(weights, seen, ROUNDED)

    def error(scale):
        return sum(
            (inputs @ (ROUNDED(weight * scale).dequantize() / scale - weight).T).square().mean(0).sum()
            for weight in weights
        )

    errors = [error(awq.candidate(seen.mean_magnitude(), number / 20)) for number in range(20)]
    assert alpha == min(range(20), key=errors.__getitem__) / 20
    assert error(scale) < 0.5 * errors[0]


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_error_is_never_above_that_of_rounding(seed, symmetric):
    generator = torch.Generator().manual_seed(seed)
    seen, weight = awq.Inputs(64), torch.randn(32, 64, generator=generator)
    seen.add(torch.randn(100, 64, generator=generator))
    rounded = partial(rounding.quantize, bits=4, group_size=32, symmetric=symmetric)
    scale, _ = awq.search([weight], seen, rounded)
    ours = layer_error(weight, rounded(weight * scale).dequantize() / scale, seen.mean()).sum()
    assert ours <= layer_error(weight, rounded(weight).dequantize(), seen.mean()).sum()


def test_a_block_is_scaled_and_rounded_in_place(tmp_path):
    from transformers import AutoModelForCausalLM

    folder = tiny.causal_lm(tmp_path / "model")
    model, dense = (AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32) for _ in range(2))
    for norm in (dense.model.layers[0].input_layernorm, model.model.layers[0].input_layernorm):
        norm.weight.data[::16] = 20
    batches = [torch.randint(3, 300, (4, 32), generator=torch.Generator().manual_seed(0))]
    block = next(walk(model, batches))
    wanted = next(next(walk(dense, batches)).outputs())
    result = awq.quantize_block(block, scale_folding.everywhere(model), 4, 32)
    ours = (next(block.outputs()) - wanted).square().mean()
    for path, layer in block.layers.items():
        assert torch.equal(layer.weight, result[path].dequantize())
        plain = block_layers(dense)[path].weight.data
        plain.copy_(ROUNDED(plain).dequantize())
    nearest = (next(next(walk(dense, batches)).outputs()) - wanted).square().mean()
    assert not torch.equal(model.model.layers[0].input_layernorm.weight, dense.model.layers[0].input_layernorm.weight)
    assert ours < 0.8 * nearest
