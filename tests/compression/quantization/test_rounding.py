from __future__ import annotations

import pytest
import torch

from potstill.compression.quantization.rounding import fake_quantize_tokens, quantize


def test_absmax_of_the_lecture_example():
    made = quantize(torch.tensor([[0.5, 20, -0.0001, -0.01, -0.1]]), bits=8)
    assert made.values.tolist() == [[3, 127, 0, 0, -1]]
    assert made.scale.item() == pytest.approx(20 / 127)


def test_int4_has_one_scale_a_group():
    weight = torch.tensor([[7.0, -7.0, 1.0, 3.4, 70.0, 10.0, -70.0, 4.0]])
    made = quantize(weight, bits=4, group_size=4)
    assert made.scale.tolist() == [[1.0, 10.0]]
    assert made.values.tolist() == [[7, -7, 1, 3, 7, 1, -7, 0]]
    assert made.group_size == 4


@pytest.mark.parametrize("bits", [4, 8])
def test_error_is_at_most_half_a_step(bits):
    weight = torch.randn(16, 64, generator=torch.Generator().manual_seed(0))
    made = quantize(weight, bits, 32)
    error = (weight - made.dequantize()).abs().reshape(16, 2, 32)
    assert (error <= made.scale[..., None] / 2 + 1e-6).all()


def test_values_are_rounded_with_the_scale_as_it_is_stored():
    weight = torch.randn(8, 32, generator=torch.Generator().manual_seed(1)).bfloat16()
    made = quantize(weight, 8, scale_type=torch.bfloat16)
    assert made.scale.dtype == torch.bfloat16
    assert torch.equal(made.values.float(), torch.round(weight.float() / made.scale.float()).clamp(-128, 127))


def test_a_row_of_zeros_stays_zero():
    made = quantize(torch.zeros(2, 8), 8)
    assert made.values.abs().sum() == 0
    assert torch.equal(made.dequantize(), torch.zeros(2, 8))


def test_groups_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="48 input features"):
        quantize(torch.ones(2, 48), 4, 32)


def test_each_token_has_its_own_scale():
    made = fake_quantize_tokens(torch.tensor([[127.0, 1.2], [1.27, 0.012]]))
    assert torch.allclose(made, torch.tensor([[127.0, 1.0], [1.27, 0.01]]))


def test_zero_points_span_what_a_group_holds():
    made = quantize(torch.tensor([[0.0, 1.5, 7.5, 15.0]]), 4, symmetric=False)
    assert made.scale.tolist() == [[1.0]]
    assert made.zero is not None and made.zero.tolist() == [[-8]]
    assert made.values.tolist() == [[-8, -6, 0, 7]]
    assert made.dequantize().tolist() == [[0.0, 2.0, 8.0, 15.0]]


def test_zero_points_are_finer_on_one_sided_weights_and_keep_zeros():
    weight = torch.rand(16, 64, generator=torch.Generator().manual_seed(0)) + 0.2
    weight[:, ::3] = 0
    with_zero, without = quantize(weight, 4, 32, symmetric=False), quantize(weight, 4, 32)
    assert (with_zero.dequantize() - weight).abs().mean() < 0.6 * (without.dequantize() - weight).abs().mean()
    assert (with_zero.dequantize()[:, ::3] == 0).all()
    assert with_zero.group_size == 32
