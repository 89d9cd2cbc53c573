from __future__ import annotations

import pytest
import torch

from potstill.compression.pruning import magnitude, masks, wanda
from potstill.compression.pruning.nm_pattern import NM
from potstill.compression.pruning.sparsegpt import Rounding, prune, prune_layer
from potstill.compression.quantization import gptq
from potstill.compression.quantization.rounding import quantize
from potstill.errors import BadInput


def draw(rows: int = 32, width: int = 256, tokens: int = 600, seed: int = 0):
    """Return a weight [O, I] and the Hessian of correlated inputs."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=generator) / width**0.5
    inputs = torch.randn(tokens, width, generator=generator) @ mixing + torch.randn(tokens, 1, generator=generator)
    hessian = gptq.Hessian(width)
    hessian.add(inputs)
    return torch.randn(rows, width, generator=generator), hessian


def error(weight, made, hessian):
    return float(gptq.layer_error(weight, made, hessian.mean()).sum())


def simple_masks(weight, hessian, sparsity, pattern):
    yield wanda.mask(weight, hessian.mean().diagonal().sqrt(), sparsity, pattern)
    if pattern:
        yield magnitude.pattern_mask(weight, pattern)
    else:
        yield from magnitude.prune_masks([weight], sparsity, "layer")


def reference(weight, hessian, sparsity, pattern, damping=0.01, block=128):
    """The paper's algorithm 1 by explicit inverses: no Cholesky factor, no lazy updates."""
    width = weight.shape[1]
    damped = hessian.mean().double() + damping * hessian.mean().diagonal().mean() * torch.eye(width)
    rest, kept = weight.double().clone(), torch.ones_like(weight, dtype=torch.bool)
    # the inverse of the Hessian of the columns from j on, for each j
    inverses = [torch.linalg.inv(damped[j:, j:]) for j in range(width)]
    diagonal = torch.stack([inverse[0, 0] for inverse in inverses])
    for j in range(width):
        group = pattern.group if pattern else block
        if j % group == 0:
            part = slice(j, min(j + group, width))
            cost = (rest[:, part] ** 2 / diagonal[part]).float()
            count = masks.share_of(cost.numel(), sparsity)
            kept[:, part] = masks.by_pattern(cost, pattern) if pattern else masks.overall(cost, count)
        new = rest[:, j] * kept[:, j]
        step = (rest[:, j] - new) / inverses[j][0, 0]
        rest[:, j:] -= torch.outer(step, inverses[j][0])
        rest[:, j] = new
    return rest.float()


@pytest.mark.parametrize(("sparsity", "pattern"), [(0.5, None), (0.7, None), (0.5, NM(2, 4)), (0.75, NM(1, 4))])
def test_error_is_below_that_of_masks_without_an_update(sparsity, pattern):
    weight, hessian = draw()
    result = prune(weight, hessian.factor(0.01), sparsity, pattern).weight
    for mask in simple_masks(weight, hessian, sparsity, pattern):
        assert error(weight, result, hessian) < 0.8 * error(weight, weight * mask, hessian)
    assert (result == 0).float().mean() == pytest.approx(sparsity, abs=1e-3)


@pytest.mark.parametrize(("sparsity", "pattern"), [(0.5, None), (0.5, NM(2, 4))])
def test_it_is_the_papers_algorithm(sparsity, pattern):
    weight, hessian = draw(rows=8, width=160, tokens=400)
    ours = prune(weight, hessian.factor(0.01), sparsity, pattern).weight
    theirs = reference(weight, hessian, sparsity, pattern)
    same = (ours == 0) == (theirs == 0)
    assert same.float().mean() > 0.999
    assert error(weight, ours, hessian) == pytest.approx(error(weight, theirs, hessian), rel=1e-2)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pattern", [None, NM(2, 4)])
def test_no_layer_is_worse_than_a_mask_alone(seed, pattern):
    # few tokens and much damping, where the greedy order alone can do worse
    weight, hessian = draw(width=128, tokens=12, seed=seed)
    result = prune_layer(weight, hessian, 0.5, pattern, 1.0, None).weight
    for mask in simple_masks(weight, hessian, 0.5, pattern):
        assert error(weight, result, hessian) <= error(weight, weight * mask, hessian) * (1 + 1e-5)


def test_every_group_of_a_pattern_keeps_its_number():
    weight, hessian = draw(width=132)
    for pattern in (NM(2, 4), NM(1, 3)):
        result = prune(weight, hessian.factor(0.01), pattern.sparsity, pattern).weight
        assert ((result.reshape(-1, pattern.group) != 0).sum(1) == pattern.kept).all()


def test_identity_hessian_prunes_the_smallest_of_each_block_and_changes_nothing_else():
    weight = draw()[0]
    result = prune(weight, gptq.inverse_factor(torch.eye(256), 0.01), 0.5).weight
    for block in (slice(0, 128), slice(128, 256)):
        cut = weight[:, block].abs().median()
        assert torch.equal(result[:, block], weight[:, block] * (weight[:, block].abs() > cut))


def test_nothing_pruned_is_exact_and_zeros_stay_and_count():
    weight, hessian = draw(width=128)
    assert torch.equal(prune(weight, hessian.factor(0.01), 0.0).weight, weight)
    weight[:, ::2] = 0
    again = prune(weight, hessian.factor(0.01), 0.5).weight
    assert torch.equal(again, weight)


@pytest.mark.parametrize(("bits", "group"), [(4, 32), (4, 128), (8, None)])
@pytest.mark.parametrize("pattern", [None, NM(2, 4)])
def test_what_survives_is_quantized_in_the_same_pass(bits, group, pattern):
    weight, hessian = draw()
    result = prune_layer(weight, hessian, 0.5, pattern, 0.01, Rounding(bits, group, torch.bfloat16))
    assert torch.equal(result.weight, result.quantized.dequantize())
    assert result.quantized.scale.shape == (32, 256 // (group or 256))
    assert (result.quantized.values == 0).float().mean() >= 0.5
    # pruning first and rounding to nearest afterwards loses no less
    apart = prune(weight, hessian.factor(0.01), 0.5, pattern).weight
    rounded = quantize(apart, bits, group, torch.bfloat16).dequantize()
    assert error(weight, result.weight, hessian) <= error(weight, rounded, hessian)
    if bits == 4:
        assert error(weight, result.weight, hessian) < 0.95 * error(weight, rounded, hessian)


def test_inputs_that_are_never_active_go_first_and_hessians_that_are_broken_are_refused():
    weight, hessian = draw(width=128)
    hessian.total[:64] = hessian.total[:, :64] = 0
    result = prune_layer(weight, hessian, 0.5, None, 0.01, None).weight
    assert torch.equal(result[:, 64:], weight[:, 64:]) and not result[:, :64].any()
    hessian.total[70, 70] = float("nan")
    hessian._factors.clear()
    with pytest.raises(BadInput, match="not finite"):
        prune_layer(weight, hessian, 0.5, None, 0.01, None)
