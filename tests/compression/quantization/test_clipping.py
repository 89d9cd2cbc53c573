from __future__ import annotations

import pytest
import torch

from potstill.compression.quantization import clipping, rounding


def draw(spike: float):
    """Return a weight [O, I] with one large value a group, and the Hessian of inputs that barely see it."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(16, 64, generator=generator)
    weight[:, ::32] = spike
    inputs = torch.randn(300, 64, generator=generator)
    inputs[:, ::32] *= 0.01
    return weight, inputs.T @ inputs / len(inputs)


def error(weight, made, hessian):
    difference = made.dequantize() - weight
    return ((difference @ hessian) * difference).sum(1)


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_large_weight_that_does_not_matter_is_cut_off(symmetric):
    weight, hessian = draw(spike=8.0)
    result = clipping.quantize(weight, hessian, 4, 32, symmetric=symmetric)
    nearest = rounding.quantize(weight, 4, 32, symmetric=symmetric)
    assert result.dequantize()[:, ::32].mean() < 7
    assert (error(weight, result, hessian) < error(weight, nearest, hessian)).all()
    assert error(weight, result, hessian).sum() < 0.8 * error(weight, nearest, hessian).sum()


def test_groups_are_chosen_one_by_one_by_their_own_error():
    weight, hessian = draw(spike=3.0)
    result = clipping.quantize(weight, hessian, 4, 32)
    for group in (slice(0, 32), slice(32, 64)):
        part, block = weight[:, group], hessian[group, group]
        tried = torch.stack(
            [
                error(part, rounding.Quantized(grid.integers(part), grid.scale, 4), block)
                for share in clipping.SHARES
                for grid in [rounding.fit_grid(part, 4, share=share)]
            ]
        )
        mine = rounding.Quantized(result.values[:, group], result.scale[:, group.start // 32][:, None], 4)
        assert torch.allclose(error(part, mine, block), tried.amin(0), rtol=1e-4)


def test_zeros_stay_zero():
    weight, hessian = draw(spike=8.0)
    weight[:, 1::2] = 0
    assert (clipping.quantize(weight, hessian, 4, 32, symmetric=False).dequantize()[:, 1::2] == 0).all()


@pytest.mark.parametrize("symmetric", [True, False])
def test_without_a_hessian_every_weight_counts_as_much(symmetric):
    weight, _ = draw(spike=3.0)
    alike = clipping.quantize(weight, torch.eye(64), 4, 64, symmetric=symmetric)
    result = clipping.quantize(weight, None, 4, 64, symmetric=symmetric)
    assert torch.equal(result.values, alike.values) and torch.equal(result.scale, alike.scale)
