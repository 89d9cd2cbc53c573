from __future__ import annotations

import pytest
import torch

from potstill.compression.pruning import magnitude
from potstill.compression.pruning.nm_pattern import NM


def layers():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(16, 32, generator=generator), 5 * torch.randn(8, 64, generator=generator)]


def zeros(found):
    return [float((~mask).float().mean()) for mask in found]


def test_by_layer_each_loses_the_share_and_globally_small_layers_lose_more():
    assert zeros(magnitude.prune_masks(layers(), 0.5, "layer")) == [0.5, 0.5]
    small, large = zeros(magnitude.prune_masks(layers(), 0.5, "global"))
    assert small > 0.7 and large < 0.3 and small + large == pytest.approx(1)


def test_global_pruning_is_one_threshold_over_all_weights():
    weights = layers()
    values = torch.cat([weight.abs().flatten() for weight in weights])
    cut = values.kthvalue(int(len(values) * 0.3)).values
    for weight, mask in zip(weights, magnitude.prune_masks(weights, 0.3, "global"), strict=True):
        assert torch.equal(mask, weight.abs() > cut)


def test_in_standard_deviations_it_is_hans_threshold():
    weights = layers()
    actual = list(magnitude.prune_masks(weights, 0.5, "deviation"))
    # one quality parameter for all layers: what stays is above it, what goes is not
    left = [(weight.abs() / weight.std())[mask].min() for weight, mask in zip(weights, actual, strict=True)]
    gone = [(weight.abs() / weight.std())[~mask].max() for weight, mask in zip(weights, actual, strict=True)]
    assert min(left) > max(gone)
    assert zeros(actual) == pytest.approx([0.5, 0.5], abs=0.1)


def test_vectors_and_rows_go_as_a_whole_by_their_mean_magnitude():
    weight = torch.tensor([[1.0, -1.0, 5.0, 0.0], [0.0, 1.9, 2.0, 2.0]])
    (by_vector,) = magnitude.prune_masks([weight], 0.5, "layer", 2)
    assert by_vector.int().tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]]
    (by_row,) = magnitude.prune_masks([weight], 0.5, "layer", None)
    assert by_row.int().tolist() == [[1, 1, 1, 1], [0, 0, 0, 0]]


def test_what_is_zero_goes_first():
    weight = layers()[0]
    (first,) = magnitude.prune_masks([weight], 0.4, "global")
    (second,) = magnitude.prune_masks([weight * first], 0.7, "global")
    assert not (second & ~first).any()
    assert zeros([second]) == pytest.approx([0.7], abs=0.002)


def test_a_pattern_keeps_the_largest_of_each_group():
    weight = torch.tensor([[-4.0, 1.0, 2.0, 3.0]])
    assert magnitude.pattern_mask(weight, NM(2, 4)).int().tolist() == [[1, 0, 0, 1]]


def test_half_precision_weights_of_nothing_but_zeros():
    (mask,) = magnitude.prune_masks([torch.zeros(4, 4, dtype=torch.bfloat16)], 0.5, "deviation")
    assert int((~mask).sum()) == 8
