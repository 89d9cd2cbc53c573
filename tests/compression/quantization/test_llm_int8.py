from __future__ import annotations

import math

import pytest
import torch

from numeric import assert_same_outputs
from potstill.compression.quantization import llm_int8
from potstill.compression.quantization.int8_matmul import linear
from potstill.compression.quantization.rounding import quantize


def draw():
    """Return inputs [N, I] with two outlier features, and a weight [O, I]."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(20, 64, generator=generator)
    inputs[3, 7], inputs[:, 40] = 30.0, inputs[:, 40] * 50
    return inputs, torch.randn(16, 64, generator=generator) / 8


def test_features_with_one_magnitude_at_the_threshold_are_outliers():
    inputs, _ = draw()
    assert llm_int8.outlier_features(inputs, 6.0).nonzero().flatten().tolist() == [7, 40]
    assert llm_int8.outlier_features(torch.tensor([[6.0, 5.9], [0.0, 0.0]]), 6.0).tolist() == [True, False]


def test_threshold_zero_is_half_precision():
    inputs, weight = (value.half() for value in draw())
    assert_same_outputs(llm_int8.matmul(inputs, weight, 0.0), inputs @ weight.T)


def test_threshold_infinity_is_absmax():
    inputs, weight = draw()
    assert torch.equal(llm_int8.matmul(inputs, weight, math.inf), linear(inputs, quantize(weight, 8)))


def test_outliers_in_half_precision_lose_less():
    inputs, weight = draw()
    exact = inputs @ weight.T
    split, whole = (llm_int8.matmul(inputs, weight, threshold) - exact for threshold in (6.0, math.inf))
    assert split.square().mean() < 0.05 * whole.square().mean()


@pytest.mark.parametrize("threshold", [0.0, 6.0, math.inf])
def test_simulated_inputs_give_the_librarys_product(threshold):
    functional = pytest.importorskip("bitsandbytes").functional
    inputs, weight = (value.half() for value in draw())
    stored = quantize(weight, 8)
    codes, absmax, _ = functional.int8_vectorwise_quant(weight)
    assert torch.equal(codes, stored.values)
    assert torch.allclose(absmax / 127, stored.scale[:, 0])
    mine = llm_int8.fake_quantize_inputs(inputs.float(), threshold) @ stored.dequantize().T
    outliers = llm_int8.outlier_features(inputs, threshold)
    rest, scales, _ = functional.int8_vectorwise_quant(inputs * ~outliers)
    # not its int8_linear_matmul: processors without VNNI saturate sums of 16 bits within it
    sums = rest.double() @ codes.double().T
    theirs = sums.float() * scales[:, None] * absmax / 127**2 + inputs.float() * outliers @ stored.dequantize().T
    assert torch.allclose(mine, theirs, atol=0.001 * float(theirs.std()))
