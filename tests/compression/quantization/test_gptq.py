from __future__ import annotations

import pytest
import torch

from potstill.compression.quantization import clipping, gptq, rounding
from potstill.compression.quantization.gptq_columns import SHARES
from potstill.errors import BadInput


def draw(rows: int = 48, width: int = 256, tokens: int = 600, seed: int = 0):
    """Return a weight [O, I] and the Hessian of strongly correlated inputs."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=generator) / width**0.5
    inputs = torch.randn(tokens, width, generator=generator) @ mixing + torch.randn(tokens, 1, generator=generator)
    hessian = gptq.Hessian(width)
    for part in inputs.split(200):
        hessian.add(part)
    return torch.randn(rows, width, generator=generator), hessian, inputs


def test_hessian_is_the_mean_over_all_tokens():
    _, hessian, inputs = draw()
    assert torch.allclose(hessian.mean(), inputs.T @ inputs / len(inputs), atol=1e-4)


def test_tokens_count_by_their_weights():
    inputs = draw()[2]
    weights = torch.rand(len(inputs), generator=torch.Generator().manual_seed(1))
    hessian = gptq.Hessian(inputs.shape[1], weights=weights)
    for part in inputs.split(200):
        hessian.add(part)
    assert torch.allclose(hessian.mean(), (inputs * weights[:, None]).T @ inputs / len(inputs), atol=1e-4)


def test_layer_error_is_that_of_the_outputs():
    weight, hessian, inputs = draw()
    other = weight + 0.01
    outputs = ((inputs @ weight.T - inputs @ other.T) ** 2).mean(0)
    assert torch.allclose(gptq.layer_error(weight, other, hessian.mean()), outputs, rtol=1e-3)


@pytest.mark.parametrize("group_size", [32, 64, 128])
def test_identity_hessian_gives_clipped_rounding(group_size):
    weight = draw()[0]
    result = gptq.quantize(weight, gptq.inverse_factor(torch.eye(256), 0.01), 4, group_size)
    nearest = clipping.quantize(weight, None, 4, group_size)
    assert torch.equal(result.values, nearest.values)
    assert torch.equal(result.scale, nearest.scale)


@pytest.mark.parametrize("group_size", [32, 128])
def test_error_is_well_below_rounding_on_correlated_inputs(group_size):
    weight, hessian, _ = draw()
    mean = hessian.mean()
    result = gptq.quantize(weight, hessian.factor(0.01), 4, group_size)
    greedy = gptq.layer_error(weight, result.dequantize(), mean).sum()
    nearest = gptq.layer_error(weight, rounding.quantize(weight, 4, group_size).dequantize(), mean).sum()
    assert greedy < 0.7 * nearest


@pytest.mark.parametrize("seed", range(5))
def test_no_row_is_worse_than_rounding(seed):
    # few tokens and much damping, where the greedy order alone does lose rows
    weight, hessian, _ = draw(width=128, tokens=20, seed=seed)
    result = gptq.quantize_layer(weight, hessian, 4, 32, 1.0, torch.bfloat16)
    nearest = rounding.quantize(weight, 4, 32, torch.bfloat16)
    mean = hessian.mean()
    ours = gptq.layer_error(weight, result.dequantize(), mean)
    assert (ours <= gptq.layer_error(weight, nearest.dequantize(), mean)).all()


def test_lazy_batch_updates_change_nothing(monkeypatch):
    weight, hessian, _ = draw()
    whole = gptq.quantize(weight, hessian.factor(0.01), 4, 32)
    monkeypatch.setattr(gptq, "BLOCK", 32)
    parts = gptq.quantize(weight, hessian.factor(0.01), 4, 32)
    assert (whole.values != parts.values).float().mean() < 0.001  # the order of sums may tip a tie


def test_zeros_stay_zero():
    weight, hessian, _ = draw()
    weight[:, ::2] = 0
    assert gptq.quantize_layer(weight, hessian, 4, 32, 0.01, torch.float32).values[:, ::2].abs().sum() == 0


def test_features_that_are_never_active_are_rounded():
    weight, hessian, _ = draw()
    hessian.total[5] = hessian.total[:, 5] = 0
    result = gptq.quantize(weight, hessian.factor(0.01), 4, 32)
    assert torch.isfinite(result.dequantize()).all()
    assert (weight[:, 5] - result.dequantize()[:, 5]).abs().max() <= result.scale[:, 0].max() / 2 + 1e-6


def test_singular_hessian_is_damped_more():
    column = torch.ones(64, 1)
    factor, taken = gptq.damped_factor(column @ column.T, 1e-9)
    assert torch.isfinite(factor).all()
    assert taken > 1e-9
    assert gptq.damped_factor(torch.eye(64), 0.01)[1] == 0.01


def test_hessian_that_is_not_finite_is_refused():
    matrix = torch.eye(8)
    matrix[0, 0] = float("inf")
    with pytest.raises(BadInput, match="not finite"):
        gptq.inverse_factor(matrix, 0.01)


@pytest.mark.parametrize("group_size", [32, 128])
def test_zero_points_make_up_for_errors_too(group_size):
    weight, hessian, _ = draw()
    weight = weight.abs()
    weight[:, ::5] = 0
    mean = hessian.mean()
    result = gptq.quantize_layer(weight, hessian, 4, group_size, 0.01, torch.float32, symmetric=False)
    nearest = rounding.quantize(weight, 4, group_size, symmetric=False)
    error = gptq.layer_error(weight, result.dequantize(), mean)
    assert (error <= gptq.layer_error(weight, nearest.dequantize(), mean)).all()
    assert error.sum() < 0.7 * gptq.layer_error(weight, nearest.dequantize(), mean).sum()
    assert (result.dequantize()[:, ::5] == 0).all()


def test_identity_hessian_gives_clipped_rounding_with_zero_points_too():
    weight = draw()[0]
    result = gptq.quantize(weight, gptq.inverse_factor(torch.eye(256), 0.01), 4, 32, symmetric=False)
    nearest = clipping.quantize(weight, None, 4, 32, symmetric=False)
    assert torch.equal(result.values, nearest.values)
    assert result.zero is not None and nearest.zero is not None and torch.equal(result.zero, nearest.zero)


def test_the_better_order_of_columns_is_taken_by_row():
    weight, hessian, _ = draw()
    mean = hessian.mean()
    one = gptq.quantize(weight, hessian.factor(0.01), 4, 32)
    other = gptq.quantize_by_activity(weight, hessian, 4, 32, 0.01)
    errors = torch.stack([gptq.layer_error(weight, result.dequantize(), mean) for result in (one, other)])
    result = gptq.layer_error(
        weight, gptq.quantize_layer(weight, hessian, 4, 32, 0.01, torch.float32).dequantize(), mean
    )
    assert torch.allclose(result, errors.amin(0), rtol=1e-4)
    assert result.sum() < errors.sum(1).min()


def test_the_order_by_activity_is_that_of_the_permuted_layer():
    weight, hessian, _ = draw()
    order = hessian.mean().diagonal().argsort(descending=True)
    permuted = gptq.Hessian(len(order))
    permuted.total, permuted.tokens = hessian.total[order][:, order], hessian.tokens
    # one group of all columns has the same scale in any order
    result = gptq.quantize_by_activity(weight, hessian, 4, 256, 0.01)
    there = gptq.quantize_by_activity(weight[:, order], permuted, 4, 256, 0.01)
    assert (result.values[:, order] != there.values).float().mean() < 0.001


def test_identity_hessian_gives_clipped_rounding_in_the_order_by_activity():
    weight, hessian = draw()[0], gptq.Hessian(256)
    hessian.total, hessian.tokens = torch.eye(256), 1
    result = gptq.quantize_layer(weight, hessian, 4, 32, 0.01, torch.float32)
    assert torch.equal(result.values, clipping.quantize(weight, None, 4, 32).values)


@pytest.mark.parametrize("symmetric", [True, False])
def test_a_large_weight_that_does_not_matter_is_cut_off(symmetric):
    weight, hessian, _ = draw()
    weight[:, ::32] = 12.0
    hessian.total[::32] *= 0.01
    hessian.total[:, ::32] *= 0.01
    result = gptq.quantize(weight, hessian.factor(0.01), 4, 32, symmetric=symmetric)
    assert result.dequantize()[:, ::32].mean() < 11


@pytest.mark.parametrize("symmetric", [True, False])
def test_layers_that_read_the_same_inputs_are_quantized_as_each_alone(symmetric):
    weight, hessian, _ = draw()
    parts = {"query": weight[:10], "key": weight[10:]}
    how = (4, 32, 0.01, torch.float32, symmetric)
    for name, result in gptq.quantize_together(parts, hessian, *how).items():
        alone = gptq.quantize_layer(parts[name], hessian, *how)
        assert torch.allclose(result.scale, alone.scale, rtol=1e-4)
        assert (result.values != alone.values).float().mean() < 0.01  # sums in another order round otherwise
        assert result.values.shape == parts[name].shape


def test_all_orders_at_once_are_the_columns_one_by_one():
    weight, hessian, _ = draw()
    factor, grids = hessian.factor(0.01), []

    def change(rest, column, stop):
        if column % 32 == 0:
            costs = 1 / factor.diagonal()[column : column + 32].square()

            def error(difference):
                return (difference.square() * costs).sum(-1, keepdim=True)

            grids.append(clipping.search(rest[:, column : column + 32], error, 4, torch.float32, True, SHARES))
        return grids[-1].values(grids[-1].integers(rest[:, column : column + 1]))[:, 0]

    alone = gptq.compensated(weight, factor, change)
    assert (gptq.quantize(weight, factor, 4, 32).dequantize() - alone).abs().max() < 1e-5
