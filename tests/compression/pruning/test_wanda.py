from __future__ import annotations

import pytest
import torch

from potstill.compression.pruning.nm_pattern import NM
from potstill.compression.pruning.wanda import InputNorms, mask


def test_norms_are_those_of_all_tokens():
    norms = InputNorms(2)
    norms.add(torch.tensor([[3.0, 1.0]]))
    norms.add(torch.tensor([[4.0, 0.0], [0.0, 0.0]]).bfloat16())
    assert norms.norms().tolist() == [5.0, 1.0]


def test_constant_inputs_give_magnitude_pruning_by_row():
    weight = torch.randn(8, 32, generator=torch.Generator().manual_seed(0))
    cut = weight.abs().sort(dim=1).values[:, 16:17]
    assert torch.equal(mask(weight, torch.full((32,), 2.5), 0.5), weight.abs() >= cut)


def test_a_small_weight_on_a_loud_input_stays():
    weight = torch.tensor([[1.0, 0.1], [1.0, 0.1]])
    assert mask(weight, torch.tensor([1.0, 100.0]), 0.5).tolist() == [[False, True], [False, True]]


@pytest.mark.parametrize(("sparsity", "pruned"), [(0.0, 0), (0.29, 29), (0.5, 50), (0.999, 99)])
def test_every_row_loses_exactly_its_share(sparsity, pruned):
    kept = mask(torch.randn(6, 100), torch.rand(100), sparsity)
    assert (~kept).sum(1).tolist() == [pruned] * 6


def test_ties_still_prune_exactly():
    assert mask(torch.ones(3, 10), torch.ones(10), 0.5).sum(1).tolist() == [5, 5, 5]


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 1.5])
def test_sparsity_outside_its_range_is_refused(sparsity):
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        mask(torch.ones(2, 2), torch.ones(2), sparsity)


def test_a_pattern_keeps_the_best_of_each_group_of_consecutive_inputs():
    weight = torch.tensor([[1.0, 1.0, 1.0, 1.0, 4.0, 3.0, 2.0, 1.0]])
    norms = torch.tensor([1.0, 3.0, 2.0, 4.0, 1.0, 1.0, 1.0, 1.0])
    assert mask(weight, norms, 0.5, NM(2, 4)).int().tolist() == [[0, 1, 0, 1, 1, 1, 0, 0]]


@pytest.mark.parametrize("pattern", [None, NM(2, 4), NM(4, 8)])
def test_it_is_the_papers_procedure(pattern):
    """The metric with a running mean of squared norms, batch by batch; then a sort within rows, or top-k in groups."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(24, 64, generator=generator)
    batches = [torch.randn(40, 64, generator=generator) * torch.rand(64, generator=generator) for _ in range(3)]
    kept, mean = InputNorms(64), torch.zeros(64)
    for seen, batch in enumerate(batches):
        kept.add(batch)
        mean = (mean * seen + batch.norm(dim=0) ** 2) / (seen + 1)
    metric = weight.abs() * mean.sqrt()
    expected = torch.ones(24, 64, dtype=torch.bool)
    for row in range(24):
        for start in range(0, 64, pattern.group if pattern else 64):
            group = metric[row, start : start + (pattern.group if pattern else 64)]
            lowest = sorted(range(len(group)), key=lambda place, group=group: float(group[place]))
            for place in lowest[: len(group) - (pattern.kept if pattern else 32)]:
                expected[row, start + place] = False
    assert torch.equal(mask(weight, kept.norms(), 0.5, pattern), expected)
