"""After GPTQ: integers and scales refined in turn, each the best while the other stays."""

from __future__ import annotations

import itertools

import pytest
import torch

from potstill.compression.quantization import refinement, rounding
from potstill.compression.quantization.gptq import layer_error
from potstill.compression.quantization.rounding import Quantized


def draw(rows=12, width=256, tokens=600):
    """Return a weight [O, I] and the Hessian of strongly correlated inputs."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(tokens, width, generator=generator) + 2 * torch.randn(tokens, 1, generator=generator)
    return torch.randn(rows, width, generator=generator), inputs.T @ inputs / tokens


def error(weight, quantized, hessian):
    return layer_error(weight, quantized.dequantize(), hessian)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("group_size", [32, 256])
def test_each_of_the_two_lowers_the_error_of_every_row(symmetric, group_size):
    weight, hessian = draw()
    nearest = rounding.quantize(weight, 4, group_size, symmetric=symmetric)
    scaled = refinement.with_best_scales(weight, nearest, hessian)
    moved = refinement.with_best_integers(weight, scaled, hessian)
    errors = [error(weight, one, hessian) for one in (nearest, scaled, moved)]
    assert (errors[1] <= errors[0] * 1.0001).all() and errors[1].sum() < 0.99 * errors[0].sum()
    assert (errors[2] <= errors[1] * 1.0001).all() and errors[2].sum() < 0.98 * errors[1].sum()


def test_scales_are_those_of_least_squares():
    weight, hessian = draw(rows=1, width=64)
    nearest = rounding.quantize(weight, 4, 32)
    halves = torch.zeros(64, 2)
    halves[:32, 0], halves[32:, 1] = nearest.values[0, :32].float(), nearest.values[0, 32:].float()
    root = torch.linalg.cholesky(hessian.double()).T
    expected = torch.linalg.lstsq(root @ halves.double(), root @ weight[0].double()).solution
    result = refinement.with_best_scales(weight, nearest, hessian).scale[0]
    assert torch.allclose(result.double(), expected, rtol=1e-3)


def test_the_integer_of_a_column_is_the_best_of_all():
    """A row of one column that is still free: by brute force."""
    weight, hessian = draw(rows=8, width=32)
    nearest = rounding.quantize(weight, 4, 32)
    result = refinement.with_best_integers(weight, nearest, hessian)
    # the last column was moved last, so that it is the best with all the others as they are now
    errors = []
    for integer in range(-8, 8):
        values = result.values.clone()
        values[:, -1] = integer
        errors.append(error(weight, Quantized(values, result.scale, 4), hessian))
    best = torch.stack(errors).argmin(0) - 8
    assert torch.equal(best, result.values[:, -1].long())


@pytest.mark.parametrize("symmetric", [True, False])
def test_zeros_stay_zero_and_a_group_of_zeros_has_a_scale(symmetric):
    weight, hessian = draw()
    weight[:, ::2] = 0
    weight[3, :64] = 0
    nearest = rounding.quantize(weight, 4, 32, symmetric=symmetric)
    result = refinement.refine(weight, nearest, hessian)
    assert (result.dequantize()[weight == 0] == 0).all()
    assert torch.isfinite(result.scale).all() and (result.scale > 0).all()
    assert error(weight, result, hessian).sum() < error(weight, nearest, hessian).sum()


def test_blocks_of_columns_and_parts_of_rows_change_nothing(monkeypatch):
    weight, hessian = draw()
    nearest = rounding.quantize(weight, 4, 32)
    results = []
    for block, at_once in itertools.product((128, 32), (2**25, 1)):
        monkeypatch.setattr(refinement, "BLOCK", block)
        monkeypatch.setattr(refinement, "AT_ONCE", at_once)
        results.append(refinement.refine(weight, nearest, hessian))
    for other in results[1:]:
        assert (results[0].values != other.values).float().mean() < 0.001  # the order of sums may tip a tie
        assert torch.allclose(results[0].scale, other.scale, rtol=1e-3)
