"""GOBO: a few outliers kept, all other weights in 2^b centroids (Zadeh et al. 2020, arXiv 2005.03842).

Shapes: O output features, I input features, W weights, K = 2^b centroids.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from potstill.compression.slabs import MOST, by_slabs, slabs

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
        weight = torch.empty(self.codes.shape, dtype=dtype, device=self.codes.device)
        for rows in slabs(self.codes):
            weight[rows] = self.centroids[self.codes[rows].long()].to(dtype)
        weight[self.outliers] = self.values.to(dtype)
        return weight

    def stored_bits(self) -> int:
        """Return the bits that it takes: numbers of centroids for all but the outliers, centroids, and outliers."""
        common = self.codes.numel() - len(self.values)
        return common * self.bits + len(self.centroids) * CENTROID_BITS + len(self.values) * OUTLIER_BITS


def outlier_mask(weight: Tensor, log_probability: float = LOG_PROBABILITY) -> Tensor:
    """Return bool [O, I]: the weights whose log-density under the Gaussian of all of them is below the threshold."""
    parts = list(slabs(weight))
    mean = sum(float(weight[rows].double().sum()) for rows in parts) / weight.numel()
    squares = sum(float((weight[rows].double() - mean).square().sum()) for rows in parts)
    deviation = math.sqrt(squares / weight.numel())
    if deviation == 0:
        return torch.zeros_like(weight, dtype=torch.bool)
    peak = math.log(deviation * math.sqrt(2 * math.pi))
    return by_slabs(weight, lambda part: -(((part.double() - mean) / deviation) ** 2) / 2 - peak < log_probability)


def cluster(weights: Tensor, bits: int) -> Tensor:
    """Return 2^`bits` centroids [K], least first, for `weights` [W].

    They start as the means of bins of equal population. Each round takes every weight to its nearest centroid and
    every centroid to the mean of its weights, as long as the sum of the distances, the L1 norm, falls; the centroids
    with the least are returned.
    """
    # of the weights alone: sorting in torch makes their places too, which take twice as much
    ordered = torch.from_numpy(np.sort(weights.float().cpu().numpy())).to(weights.device)
    # equal population, not equal width: the paper's start
    edges = torch.linspace(0, len(ordered), 2**bits + 1, device=weights.device).round().long()
    totals = torch.zeros(len(ordered) + 1, dtype=torch.float64, device=weights.device)
    torch.cumsum(ordered, 0, dtype=torch.float64, out=totals[1:])
    centroids = _means(totals, edges, totals.new_zeros(2**bits))
    best, least = centroids, float("inf")
    for _ in range(ROUNDS):
        # in order of size a cluster is a run, so that its sum is a difference of two running sums
        inner = torch.searchsorted(ordered, _not_below((centroids[:-1] + centroids[1:]) / 2))
        edges = torch.cat([inner.new_zeros(1), inner, inner.new_full((1,), len(ordered))])
        distance = _distance(ordered, centroids, edges)
        # unlike k-means the L1 distance may rise, since centroids are means and not medians
        if distance >= least:
            break
        best, least = centroids, distance
        centroids = _means(totals, edges, centroids)
    return best.float()


def _not_below(limits: Tensor) -> Tensor:
    """Return the least float32 numbers that are not below `limits`: the same weights are below both."""
    rounded = limits.float()
    above = torch.nextafter(rounded, torch.full_like(rounded, math.inf))
    return torch.where(rounded.double() < limits, above, rounded)


def _distance(ordered: Tensor, centroids: Tensor, edges: Tensor) -> float:
    """Return the sum of the distances of the `ordered` weights [W] to the centroid of their run between `edges`."""
    runs = torch.split(ordered, edges.diff().tolist())
    return sum(
        float((part.double() - centroid).abs().sum())
        for run, centroid in zip(runs, centroids, strict=True)
        for part in torch.split(run, MOST)
    )


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
    del common
    limits = (centroids[:-1] + centroids[1:]) / 2
    codes = by_slabs(values, lambda part: torch.bucketize(part, limits).to(torch.uint8))
    return Gobo(codes, centroids, outliers, values[outliers], bits)
