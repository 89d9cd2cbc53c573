from __future__ import annotations

import pytest
import torch

from potstill.compression.quantization.rounding import fake_quantize_tokens, quantize


def test_absmax_of_the_lecture_example():
    result = quantize(torch.tensor([[0.5, 20, -0.0001, -0.01, -0.1]]), bits=8)
    assert result.values.tolist() == [[3, 127, 0, 0, -1]]
    assert result.scale.item() == pytest.approx(20 / 127)


def test_int4_has_one_scale_a_group():
    weight = torch.tensor([[7.0, -7.0, 1.0, 3.4, 70.0, 10.0, -70.0, 4.0]])
    result = quantize(weight, bits=4, group_size=4)
    assert result.scale.tolist() == [[1.0, 10.0]]
    assert result.values.tolist() == [[7, -7, 1, 3, 7, 1, -7, 0]]
    assert result.group_size == 4


@pytest.mark.parametrize("bits", [4, 8])
def test_error_is_at_most_half_a_step(bits):
    weight = torch.randn(16, 64, generator=torch.Generator().manual_seed(0))
    result = quantize(weight, bits, 32)
    error = (weight - result.dequantize()).abs().reshape(16, 2, 32)
    assert (error <= result.scale[..., None] / 2 + 1e-6).all()


def test_values_are_rounded_with_the_scale_as_it_is_stored():
    weight = torch.randn(8, 32, generator=torch.Generator().manual_seed(1)).bfloat16()
    result = quantize(weight, 8, scale_type=torch.bfloat16)
    assert result.scale.dtype == torch.bfloat16
    assert torch.equal(result.values.float(), torch.round(weight.float() / result.scale.float()).clamp(-128, 127))


def test_a_row_of_zeros_stays_zero():
    result = quantize(torch.zeros(2, 8), 8)
    assert result.values.abs().sum() == 0
    assert torch.equal(result.dequantize(), torch.zeros(2, 8))


def test_groups_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="48 input features"):
        quantize(torch.ones(2, 48), 4, 32)


def test_each_token_has_its_own_scale():
    result = fake_quantize_tokens(torch.tensor([[127.0, 1.2], [1.27, 0.012]]))
    assert torch.allclose(result, torch.tensor([[127.0, 1.0], [1.27, 0.01]]))


def test_zero_points_span_what_a_group_holds():
    result = quantize(torch.tensor([[0.0, 1.5, 7.5, 15.0]]), 4, symmetric=False)
    assert result.scale.tolist() == [[1.0]]
    assert result.zero is not None and result.zero.tolist() == [[-8]]
    assert result.values.tolist() == [[-8, -6, 0, 7]]
    assert result.dequantize().tolist() == [[0.0, 2.0, 8.0, 15.0]]


def test_zero_points_are_finer_on_one_sided_weights_and_keep_zeros():
    weight = torch.rand(16, 64, generator=torch.Generator().manual_seed(0)) + 0.2
    weight[:, ::3] = 0
    with_zero, without = quantize(weight, 4, 32, symmetric=False), quantize(weight, 4, 32)
    assert (with_zero.dequantize() - weight).abs().mean() < 0.6 * (without.dequantize() - weight).abs().mean()
    assert (with_zero.dequantize()[:, ::3] == 0).all()
    assert with_zero.group_size == 32
