from __future__ import annotations

import pytest
import torch

from potstill.compression.pruning.mask_regression import fit, halves, kendall_tau


def drawn(prior, count, submodels, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([half for _ in range(submodels // 2) for half in halves(prior, count, generator)])


def ranks(values):
    return values.argsort().argsort().double()


def spearman(first, second):
    return float(torch.corrcoef(torch.stack([ranks(first), ranks(second)]))[0, 1])


def test_the_regression_finds_planted_importances():
    generator = torch.Generator().manual_seed(1)
    planted = torch.rand(40, generator=generator)
    prior = torch.rand(40, generator=generator)  # knows nothing of what is planted
    masks = drawn(prior, 20, 200)
    merits = masks.float() @ planted + 0.1 * torch.randn(200, generator=generator)
    actual = fit(masks, merits, prior)
    assert spearman(actual.worth, planted) > 0.95
    assert actual.tau > 0.8 > 0.3 > actual.prior_tau


def test_with_few_sub_models_a_good_prior_leads():
    generator = torch.Generator().manual_seed(2)
    planted = torch.rand(200, generator=generator)
    prior = planted + 0.1 * torch.randn(200, generator=generator).abs()
    masks = drawn(prior, 100, 20)
    actual = fit(masks, masks.float() @ planted, prior)
    blind = fit(masks, masks.float() @ planted, torch.ones(200) + 1e-3 * torch.rand(200, generator=generator))
    assert spearman(actual.worth, planted) > spearman(blind.worth, planted) + 0.2


def test_the_second_half_leaves_out_what_the_first_keeps():
    first, second = halves(torch.rand(10), 5, torch.Generator().manual_seed(0))
    assert torch.equal(second, ~first)
    assert int(first.sum()) == 5


def test_what_the_prior_values_least_is_left_out_most():
    prior = torch.tensor([1.0, 1.0, 10.0, 10.0])
    generator = torch.Generator().manual_seed(0)
    first = torch.stack([halves(prior, 2, generator)[0] for _ in range(300)]).float().mean(0)
    assert first[:2].max() < 0.3 < 0.7 < first[2:].min()
    assert first[2:].max() < 1, "everything can go, or its worth would never show"


def test_kendalls_tau():
    one = torch.tensor([1.0, 2, 3, 4])
    assert kendall_tau(one, one * 10) == 1
    assert kendall_tau(one, -one) == -1
    assert kendall_tau(one, torch.tensor([1.0, 2, 4, 3])) == pytest.approx(4 / 6)
    assert kendall_tau(one, torch.ones(4)) == 0
    # with ties: (5 concordant) / sqrt(6 * 5)
    assert kendall_tau(one, torch.tensor([1.0, 1, 2, 3])) == pytest.approx(5 / 30**0.5)
