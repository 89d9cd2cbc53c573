from __future__ import annotations

import torch

from potstill.compression.quantization import fp8


def test_numbers_of_e4m3():
    # 4 bits of exponent and 3 of mantissa: 8 numbers to a power of two, the largest 448, the least 2^-9
    values = torch.tensor([448.0, 1000.0, 17.0, 17.1, 2**-9, 2**-11])
    assert fp8.round_with(values, torch.ones(1)).float().tolist() == [448.0, 448.0, 16.0, 18.0, 2**-9, 0.0]


def test_each_row_reaches_the_largest_number():
    weight = torch.randn(6, 32, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 3, 6)[:, None]
    result = fp8.quantize(weight)
    assert result.values.dtype == torch.float8_e4m3fn
    assert (result.values.float().abs().amax(1) == 448).all()
    # half of the last of 3 bits of mantissa
    normal = weight.abs() / result.scale > 2**-6
    assert ((result.dequantize() - weight).abs() <= weight.abs() / 16 * 1.0001)[normal].all()


def test_zeros_stay_zero_and_tokens_have_their_own_scale():
    assert fp8.quantize(torch.zeros(1, 4)).dequantize().tolist() == [[0.0] * 4]
    assert fp8.fake_quantize_tokens(torch.tensor([[448.0, 17.0], [0.448, 0.017]])).tolist() == [
        [448.0, 16.0],
        [0.4480000138282776, 0.01600000075995922],
    ]
