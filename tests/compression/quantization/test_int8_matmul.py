from __future__ import annotations

import pytest
import torch

from potstill.compression.quantization.int8_matmul import int8_matmul, linear
from potstill.compression.quantization.rounding import fake_quantize_tokens, quantize


def test_sums_are_int32_and_exact_where_8_and_16_bits_overflow():
    inputs, weight = torch.full((1, 4096), 127, dtype=torch.int8), torch.full((1, 4096), -128, dtype=torch.int8)
    result = int8_matmul(inputs, weight)
    assert result.dtype == torch.int32
    assert result.item() == -127 * 128 * 4096


def test_linear_is_the_product_of_what_the_integers_stand_for():
    generator = torch.Generator().manual_seed(0)
    inputs, weight = torch.randn(7, 96, generator=generator), torch.randn(5, 96, generator=generator)
    result = quantize(weight, 8)
    assert torch.allclose(linear(inputs, result), fake_quantize_tokens(inputs) @ result.dequantize().T, atol=1e-4)


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="both must be int8"):
        int8_matmul(torch.ones(1, 2), torch.ones(1, 2, dtype=torch.int8))
