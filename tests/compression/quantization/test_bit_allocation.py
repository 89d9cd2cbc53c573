from __future__ import annotations

import itertools
import random

import pytest

from potstill.compression.quantization.bit_allocation import Choice, cheapest, greedy, in_order, knapsack


def draw(seed: int, layers: int = 6, choices: int = 3) -> list[list[Choice]]:
    """Return layers whose choices cost more and harm less, with noise."""
    random_ = random.Random(seed)
    return [
        [Choice(bits * random_.randint(1, 5), random_.random() / bits) for bits in (4, 8, 16)[:choices]]
        for _ in range(layers)
    ]


def total(layers, chosen):
    """Return the cost and the harm of a choice."""
    picked = [choices[number] for choices, number in zip(layers, chosen, strict=True)]
    return sum(choice.cost for choice in picked), sum(choice.harm for choice in picked)


def best(layers, budget):
    """Return the least harm of all combinations within the budget."""
    every = itertools.product(*(range(len(choices)) for choices in layers))
    return min(harm for cost, harm in (total(layers, chosen) for chosen in every) if cost <= budget)


@pytest.mark.parametrize("seed", range(20))
def test_knapsack_is_brute_force(seed):
    layers = draw(seed)
    for budget in (cheapest(layers), cheapest(layers) + 20, cheapest(layers) + 60, 10**6):
        cost, harm = total(layers, knapsack(layers, budget))
        assert cost <= budget
        assert harm == pytest.approx(best(layers, budget))


@pytest.mark.parametrize("seed", range(20))
def test_greedy_keeps_the_budget_and_never_beats_the_exact_answer(seed):
    layers = draw(seed)
    budget = cheapest(layers) + 40
    cost, harm = total(layers, greedy(layers, budget))
    assert cost <= budget
    assert harm >= best(layers, budget) - 1e-12
    assert harm <= total(layers, greedy(layers, cheapest(layers)))[1]


def test_the_layer_that_suffers_gets_the_bits():
    layers = [[Choice(4, 0.1), Choice(8, 0.0)], [Choice(4, 5.0), Choice(8, 0.0)]]
    assert knapsack(layers, 12) == greedy(layers, 12) == [0, 1]


def test_greedy_by_ratio_can_be_wrong():
    layers = [[Choice(0, 3.0), Choice(2, 0.0)], [Choice(0, 4.0), Choice(3, 0.0)], [Choice(0, 5.0), Choice(4, 0.0)]]
    assert greedy(layers, 6) == [1, 1, 0]
    assert knapsack(layers, 6) == [1, 0, 1]


@pytest.mark.parametrize("allocate", [greedy, knapsack])
def test_a_budget_that_nothing_fits(allocate):
    with pytest.raises(ValueError, match="7 bits is below the 8"):
        allocate([[Choice(4, 0.0)], [Choice(4, 0.0)]], 7)


def test_two_hundred_layers_take_no_time():
    layers = [
        [Choice(4 * width, 1.0 / (number + 1)), Choice(8 * width, 0.0)]
        for number in range(50)
        for width in (1, 2, 8, 8)
    ]
    budget = 6 * 50 * 19
    assert total(layers, knapsack(layers, budget))[0] <= budget


def test_in_order_gives_the_first_layers_the_bits_within_the_budget():
    layers = [[Choice(4, 0.0), Choice(8, 0.0)], [Choice(4, 5.0), Choice(8, 0.0)], [Choice(4, 9.0), Choice(8, 0.0)]]
    assert in_order(layers, 12) == [0, 0, 0]
    assert in_order(layers, 21) == [1, 1, 0]
    assert in_order(layers, 99) == [1, 1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_in_order_keeps_the_budget_and_never_beats_the_exact_answer(seed):
    layers = draw(seed)
    budget = cheapest(layers) + 30
    cost, harm = total(layers, in_order(layers, budget))
    assert cost <= budget
    assert harm >= best(layers, budget) - 1e-12
