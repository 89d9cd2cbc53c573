from __future__ import annotations

import pytest
import torch

from cutting import ids, model
from potstill.compression.fisher import row_information
from potstill.compression.layerwise import block_layers
from potstill.compression.loss import batches_of
from potstill.compression.low_rank import Gram, factorize, rank_within
from potstill.errors import BadInput

WEIGHT = torch.randn(12, 20, generator=torch.Generator().manual_seed(0))
# some features are large and others go along with them
INPUTS = torch.randn(200, 20, generator=torch.Generator().manual_seed(1)) * torch.logspace(-2, 1, 20)
INPUTS[:, 3] = INPUTS[:, 19] * 0.5


def gram():
    result = Gram(20)
    result.add(INPUTS[:100])
    result.add(INPUTS[100:])
    return result.total


def lost(weight):
    return float(((WEIGHT - weight) @ INPUTS.T).square().sum())


def test_the_loss_is_the_sum_of_the_squares_of_the_singular_values_cut():
    values = torch.linalg.svdvals(WEIGHT @ INPUTS.T)
    for rank in (2, 6, 11):
        wanted = float(values[rank:].square().sum())
        assert lost(factorize(WEIGHT, rank, gram()).product) == pytest.approx(wanted, rel=1e-2)


def test_no_other_weight_of_that_rank_is_nearer_on_the_inputs():
    best = lost(factorize(WEIGHT, 4, gram()).product)
    assert best < 0.5 * lost(factorize(WEIGHT, 4).product)
    generator = torch.Generator().manual_seed(2)
    factors = factorize(WEIGHT, 4, gram())
    for _ in range(20):
        moved = factors.left + 0.01 * torch.randn(factors.left.shape, generator=generator)
        assert lost(moved @ factors.right) > best


def test_without_inputs_it_is_the_truncated_svd():
    left, values, right = torch.linalg.svd(WEIGHT, full_matrices=False)
    wanted = left[:, :5] @ torch.diag(values[:5]) @ right[:5]
    assert torch.allclose(factorize(WEIGHT, 5).product, wanted, atol=1e-5)


def test_full_rank_is_exact():
    factors = factorize(WEIGHT, 12, gram())
    assert torch.allclose(factors.product, WEIGHT, atol=1e-4)
    assert factors.parameters == 12 * (12 + 20)


def test_the_rank_keeps_within_the_budget():
    for budget in (0.01, 0.2, 0.5, 0.99):
        rank = rank_within(12, 20, budget)
        assert rank == 1 or rank * 32 <= budget * 240 < (rank + 1) * 32


def test_rows_that_matter_more_are_nearer():
    rows = torch.rand(12, generator=torch.Generator().manual_seed(4)) ** 2
    scale = rows.sqrt()[:, None]
    left, values, right = torch.linalg.svd(scale * WEIGHT, full_matrices=False)
    wanted = (left[:, :4] @ torch.diag(values[:4]) @ right[:4]) / scale
    assert torch.allclose(factorize(WEIGHT, 4, rows=rows).product, wanted, atol=1e-4)
    nothing = rows.clone().index_fill(0, torch.tensor([3]), 0.0)
    assert torch.isfinite(factorize(WEIGHT, 4, gram(), nothing).product).all()


@pytest.mark.parametrize(("kind", "labels"), [("qwen3", None), ("bert", [1, 0, 2, 2])])
def test_information_is_the_mean_of_squared_gradients(kind, labels):
    result, tokens = model(kind), ids()
    layers = block_layers(result)
    actual = row_information(result, layers, batches_of([(row, 0) for row in tokens], labels))
    path = next(iter(layers))
    total = torch.zeros(len(layers[path].weight))
    for number, row in enumerate(tokens):
        result.zero_grad()
        target = None if labels is None else torch.tensor([labels[number]])
        result(input_ids=row[None], labels=row[None] if target is None else target).loss.backward()
        total += layers[path].weight.grad.square().sum(1)
    assert torch.allclose(actual[path], total / 4, rtol=1e-3, atol=1e-10)


def test_inputs_that_are_not_finite():
    with pytest.raises(BadInput, match="not finite"):
        factorize(WEIGHT, 3, gram() * float("inf"))
