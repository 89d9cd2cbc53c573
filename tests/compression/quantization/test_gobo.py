from __future__ import annotations

import math

import pytest
import torch

from potstill.compression.quantization import gobo

WEIGHT = torch.randn(300, 200, generator=torch.Generator().manual_seed(0)) * 0.04


def test_outliers_are_where_the_gaussian_density_ends():
    mask = gobo.outlier_mask(WEIGHT)
    mean, deviation = WEIGHT.double().mean(), WEIGHT.double().std(correction=0)
    density = torch.distributions.Normal(mean, deviation).log_prob(WEIGHT.double())
    assert torch.equal(mask, density < -4)
    # the paper's share: about 0.1 % or less of the weights of a layer of this scale
    assert 0 < mask.float().mean() < 0.001


def test_centroids_start_with_equal_populations():
    weights = torch.tensor([0.0, 0.1, 10.0, 11.0, 20.0, 20.1, 30.0, 30.5])
    assert gobo.cluster(weights, 2).tolist() == pytest.approx([0.05, 10.5, 20.05, 30.25])


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_clustering_never_ends_with_a_larger_l1_norm_than_it_starts_with(bits):
    weights = WEIGHT.flatten()
    parts = weights.sort().values.tensor_split(2**bits)
    start = torch.stack([part.mean() for part in parts])
    result = gobo.cluster(weights, bits)

    def distance(centroids):
        return (weights[:, None].double() - centroids.double()).abs().amin(1).sum()

    assert distance(result) <= distance(start) * (1 + 1e-6)  # the clustering adds in float32
    # and far below a linear grid of as many values
    grid = torch.linspace(float(weights.min()), float(weights.max()), 2**bits)
    assert distance(result) < 0.7 * distance(grid)


def test_each_weight_is_its_nearest_centroid_and_outliers_are_kept():
    result = gobo.quantize(WEIGHT, 3)
    back = result.dequantize()
    assert torch.equal(back[result.outliers], WEIGHT[result.outliers])
    rest = ~result.outliers
    nearest = (WEIGHT[rest][:, None] - result.centroids).abs().amin(1)
    assert torch.allclose((back - WEIGHT)[rest].abs(), nearest, atol=1e-7)
    assert len(back[rest].unique()) == 8


def test_stored_size_of_3_bits():
    result = gobo.quantize(WEIGHT, 3)
    outliers = int(result.outliers.sum())
    assert result.stored_bits() == (WEIGHT.numel() - outliers) * 3 + 8 * 32 + outliers * 64
    assert 32 / (result.stored_bits() / WEIGHT.numel()) == pytest.approx(10.4, abs=0.3)  # the paper: about 10 times


def test_equal_weights_are_one_centroid():
    assert torch.equal(gobo.quantize(torch.full((4, 4), 0.5), 3).dequantize(), torch.full((4, 4), 0.5))
    assert math.isclose(float(gobo.quantize(torch.zeros(2, 2), 1).dequantize().sum()), 0.0)
