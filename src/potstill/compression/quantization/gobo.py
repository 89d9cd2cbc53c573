"""GOBO: a few outliers kept, all other weights in 2^b centroids (Zadeh et al. 2020, arXiv 2005.03842).

Shapes: O output features, I input features, W weights, K = 2^b centroids.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LOG_PROBABILITY = -4.0
"""Weights whose log-density under the layer's own Gaussian is below this are outliers; the paper's threshold."""
ROUNDS = 100
"""Most rounds of clustering; it ends long before, when the distance falls no more."""
OUTLIER_BITS = 32 + 32
"""Bits that an outlier takes: its value as float32, and its position."""
CENTROID_BITS = 32
"""Bits that a centroid takes."""


@dataclass(frozen=True)
class Gobo:
    """A weight as numbers of centroids, and outliers."""

    codes: Tensor
    """[O, I] uint8: numbers of centroids; meaningless where a weight is an outlier."""
    centroids: Tensor
    """[K] float32, least first."""
    outliers: Tensor
    """[O, I] bool."""
    values: Tensor
    """Float32, the outliers in the order of their positions."""
    bits: int
    """Of a centroid's number."""

    def dequantize(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Return the weight [O, I] that is stored."""
        weight = self.centroids[self.codes.long()]
        weight[self.outliers] = self.values
        return weight.to(dtype)

    def stored_bits(self) -> int:
        """Return the bits that it takes: numbers of centroids for all but the outliers, centroids, and outliers."""
        common = self.codes.numel() - len(self.values)
        return common * self.bits + len(self.centroids) * CENTROID_BITS + len(self.values) * OUTLIER_BITS


def outlier_mask(weight: Tensor, log_probability: float = LOG_PROBABILITY) -> Tensor:
    """Return bool [O, I]: the weights whose log-density under the Gaussian of all of them is below the threshold."""
    values = weight.double()
    deviation = values.std(correction=0)
    if deviation == 0:
        return torch.zeros_like(weight, dtype=torch.bool)
    distance = (values - values.mean()) / deviation
    return -(distance**2) / 2 - torch.log(deviation * math.sqrt(2 * math.pi)) < log_probability


def cluster(weights: Tensor, bits: int) -> Tensor:
    """Return 2^`bits` centroids [K], least first, for `weights` [W].

    They start as the means of bins of equal population. Each round takes every weight to its nearest centroid and
    every centroid to the mean of its weights, as long as the sum of the distances, the L1 norm, falls; the centroids
    with the least are returned.
    """
    ordered = weights.double().sort().values
    # equal population, not equal width: the paper's start
    edges = torch.linspace(0, len(ordered), 2**bits + 1, device=weights.device).round().long()
    totals = torch.cat([ordered.new_zeros(1), ordered.cumsum(0)])
    centroids = _means(totals, edges, ordered.new_zeros(2**bits))
    best, least = centroids, float("inf")
    for _ in range(ROUNDS):
        # in order of size a cluster is a run, so that its sum is a difference of two running sums
        inner = torch.searchsorted(ordered, (centroids[:-1] + centroids[1:]) / 2)
        edges = torch.cat([inner.new_zeros(1), inner, inner.new_full((1,), len(ordered))])
        distance = float((ordered - centroids.repeat_interleave(edges.diff())).abs().sum())
        # unlike k-means the L1 distance may rise, since centroids are means and not medians
        if distance >= least:
            break
        best, least = centroids, distance
        centroids = _means(totals, edges, centroids)
    return best.float()


def _means(totals: Tensor, edges: Tensor, empty: Tensor) -> Tensor:
    """Return the means [K] of runs of the ordered weights, least first; a run without weights keeps what is `empty`."""
    counts = edges.diff()
    return torch.where(counts > 0, totals[edges].diff() / counts.clamp_min(1), empty).sort().values


def quantize(weight: Tensor, bits: int, log_probability: float = LOG_PROBABILITY) -> Gobo:
    """Store `weight` [O, I] in 2^`bits` centroids and its outliers."""
    if not 1 <= bits <= 8:
        raise ValueError(f"bits is {bits}: it must be 1 to 8")
    values = weight.detach().float()
    outliers = outlier_mask(values, log_probability)
    common = values[~outliers]
    if not len(common):
        return Gobo(torch.zeros_like(values, dtype=torch.uint8), values.new_zeros(1), outliers, values[outliers], bits)
    centroids = cluster(common, bits)
    codes = torch.bucketize(values, (centroids[:-1] + centroids[1:]) / 2).to(torch.uint8)
    return Gobo(codes, centroids, outliers, values[outliers], bits)
