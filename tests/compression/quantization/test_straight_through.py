"""Weights of few bits: what the forward pass sees, where the gradient goes."""

from __future__ import annotations

import torch
from torch import nn

from potstill.compression.quantization import rounding
from potstill.compression.quantization.straight_through import (
    FakeQuantization,
    binary,
    restore,
    settle,
    straight_through,
    ternary,
)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_ternary_is_the_papers_absmean_rounding():
    # mean |w| = 1: 0.4 rounds to 0, 0.6 and 3 to 1 (clipped), -0.5 to 0 (half to even)
    weight = torch.tensor([[0.4, 0.6, 3.0], [-0.5, -1.4, -0.1]])
    weight = weight / weight.abs().mean()
    result = ternary(weight)
    expected = torch.round(weight / weight.abs().mean()).clamp(-1, 1)
    assert torch.equal(result.values.float(), expected)
    assert float(result.scale) == 1.0 and result.scale.shape == (1, 1)
    assert set(result.dequantize().unique().tolist()) == {-1.0, 0.0, 1.0}


def test_binary_scales_each_row_by_the_value_of_least_squared_error():
    weight = random(4, 64)
    result = binary(weight, torch.float32)
    assert torch.equal(result.values.float(), torch.where(weight >= 0, 1.0, -1.0))
    for factor in (0.98, 1.02):
        worse = result.dequantize() * factor
        assert ((weight - worse) ** 2).sum() > ((weight - result.dequantize()) ** 2).sum()
    torch.testing.assert_close(result.scale[:, 0], weight.abs().mean(1))
    assert set(binary(torch.zeros(2, 3)).values.flatten().tolist()) == {1}


def test_the_forward_pass_has_just_the_rounded_weight_and_the_gradient_passes():
    weight = random(8, 32).requires_grad_()
    for quantize in (ternary, binary):
        seen = FakeQuantization(quantize).weight(weight)
        assert torch.equal(seen, quantize(weight).dequantize().float())
        (gradient,) = torch.autograd.grad((seen * random(8, 32, seed=1)).sum(), weight)
        assert torch.equal(gradient, random(8, 32, seed=1))


def test_weights_beyond_the_limit_get_no_gradient():
    real = torch.tensor([0.5, -1.0, 1.5, -2.0], requires_grad=True)
    result = straight_through(real, real.detach().sign(), limit=1.0)
    assert result.tolist() == [1, -1, 1, -1]
    result.sum().backward()
    assert real.grad.tolist() == [1, 1, 0, 0]


def test_a_layer_computes_with_rounded_weights_and_inputs_until_it_is_restored():
    layer, inputs = nn.Linear(32, 8), random(5, 32)
    fake = FakeQuantization(ternary, activation_bits=8)
    plain = layer(inputs)
    names = list(layer.state_dict())
    fake.begin([layer])
    weight = ternary(layer.weight).dequantize().float()
    expected = rounding.fake_quantize_tokens(inputs) @ weight.T + layer.bias
    torch.testing.assert_close(layer(inputs), expected)
    assert list(layer.state_dict()) == names
    restore([layer])
    assert torch.equal(layer(inputs), plain)


def test_settled_layers_hold_what_they_computed_with():
    layer, inputs = nn.Linear(32, 8), random(5, 32)
    fake = FakeQuantization(binary)
    fake.begin([layer])
    before = layer(inputs)
    quantized = settle({"a": layer}, fake.quantize)
    assert torch.equal(layer(inputs), before)
    assert torch.equal(layer.weight, quantized["a"].dequantize().float())


def test_zero_weights_have_a_scale():
    for quantize in (ternary, binary):
        assert torch.isfinite(quantize(torch.zeros(2, 4)).dequantize()).all()
