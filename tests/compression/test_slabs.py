"""What is computed of a weight in slabs of its rows is what is computed of it as a whole, to the bit."""

import pytest
import torch

from potstill.compression import slabs
from potstill.compression.pruning import magnitude, nm_pattern, wanda
from potstill.compression.quantization import clipping, fp8, gobo, nf4, rounding
from potstill.compression.quantization.gptq import Hessian, layer_error, quantize_layer

WEIGHT = torch.randn(37, 128, generator=torch.Generator().manual_seed(0)) * torch.logspace(0, -2, 128)
INPUTS = torch.randn(300, 128, generator=torch.Generator().manual_seed(1))


def hessian():
    seen = Hessian(128)
    seen.add(INPUTS)
    return seen


def parts(quantized):
    return [
        quantized.values,
        quantized.scale,
        quantized.dequantize(),
        *([quantized.zero] if quantized.zero is not None else []),
    ]


METHODS = {
    "int8 by row": lambda weight: parts(rounding.quantize(weight, 8)),
    "int4 in groups": lambda weight: parts(rounding.quantize(weight, 4, 32, weight.dtype)),
    "int4 with zero points": lambda weight: parts(rounding.quantize(weight, 4, 32, weight.dtype, symmetric=False)),
    "clipped": lambda weight: parts(clipping.quantize(weight, hessian().mean(), 4, 32)),
    "FP8": lambda weight: [each.float() for each in parts(fp8.quantize(weight, weight.dtype))],
    "NF4": lambda weight: [nf4.quantize(weight).packed(), nf4.quantize(weight).dequantize(weight.dtype)],
    "GOBO": lambda weight: [gobo.quantize(weight, 3).codes, gobo.quantize(weight, 3).dequantize(weight.dtype)],
    "Wanda": lambda weight: [wanda.mask(weight, INPUTS.norm(dim=0), 0.5)],
    "Wanda, 2:4": lambda weight: [wanda.mask(weight, INPUTS.norm(dim=0), 0.5, nm_pattern.parse("2:4"))],
    "magnitude, 2:4": lambda weight: [magnitude.pattern_mask(weight, nm_pattern.parse("2:4"))],
}


@pytest.mark.parametrize("rows", [1, 5, 36, 37])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", METHODS)
def test_a_method_gives_the_same_in_slabs(monkeypatch, name, dtype, rows):
    whole = METHODS[name](WEIGHT.to(dtype))
    monkeypatch.setattr(slabs, "MOST", rows * 128)
    for ours, wanted in zip(METHODS[name](WEIGHT.to(dtype)), whole, strict=True):
        assert torch.equal(ours, wanted)


def test_errors_and_gptq_are_the_same_in_slabs(monkeypatch):
    from potstill.compression.quantization import gptq

    whole = quantize_layer(WEIGHT, hessian(), 4, 32, 0.01, torch.float32)
    errors = layer_error(WEIGHT, whole.dequantize(), hessian().mean())
    monkeypatch.setattr(slabs, "MOST", 5 * 128)
    monkeypatch.setattr(gptq, "AT_ONCE", 16 * 128)
    torch.testing.assert_close(layer_error(WEIGHT, whole.dequantize(), hessian().mean()), errors)
    # sums of products of fewer rows may round otherwise in the last bit, and tip a tie
    assert (quantize_layer(WEIGHT, hessian(), 4, 32, 0.01, torch.float32).values != whole.values).float().mean() < 0.001


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (7, 4), (8, 4), (3, 100)])
def test_slabs_are_all_rows_once_and_no_larger_than_asked(shape):
    weight = torch.arange(shape[0] * shape[1]).reshape(shape)
    pieces = [weight[rows] for rows in slabs.slabs(weight, 16)]
    assert torch.equal(torch.cat(pieces), weight)
    assert all(piece.numel() <= 16 or len(piece) == 1 for piece in pieces)
