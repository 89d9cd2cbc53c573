"""Mixed precision: which layers get more bits, so that the harm is least within a budget.

The harm of a choice is measured layer by layer and taken to add up, as in HAWQ-V3 (Yao et al. 2020, arXiv 2011.10680),
where choosing is an integer linear program; `knapsack` solves it exactly, and `greedy` goes by the best ratio.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """One way to store a layer."""

    cost: int
    """Bits of storage."""
    harm: float
    """What it does to the model; less is better, and noise may make it negative."""


def cheapest(layers: Sequence[Sequence[Choice]]) -> int:
    """Return the least that all `layers` cost together."""
    return sum(min(choice.cost for choice in choices) for choices in layers)


def greedy(layers: Sequence[Sequence[Choice]], budget: int) -> list[int]:
    """Return the number of the choice for each of the `layers`: from the cheapest up by the best ratio.

    As long as something fits, the change that lowers the harm most for each bit of cost is made.

    Raises:
        ValueError: even the cheapest choices cost more than the `budget`.
    """
    _check(layers, budget)
    chosen = [min(range(len(choices)), key=lambda n: (choices[n].cost, choices[n].harm)) for choices in layers]
    left = budget - sum(choices[n].cost for choices, n in zip(layers, chosen, strict=True))
    while True:
        best: tuple[float, int, int] | None = None
        for layer, choices in enumerate(layers):
            now = choices[chosen[layer]]
            for number, other in enumerate(choices):
                cost, gain = other.cost - now.cost, now.harm - other.harm
                if 0 < cost <= left and gain > 0 and (best is None or gain / cost > best[0]):
                    best = (gain / cost, layer, number)
        if best is None:
            return chosen
        _, layer, number = best
        left -= layers[layer][number].cost - layers[layer][chosen[layer]].cost
        chosen[layer] = number


def knapsack(layers: Sequence[Sequence[Choice]], budget: int) -> list[int]:
    """Return the number of the choice for each of the `layers` with the least sum of harms within the `budget`.

    Exact dynamic programming over the layers: a partial allocation is kept only if none that costs as little does
    less harm. Of equal harms the cheapest is taken.

    Raises:
        ValueError: even the cheapest choices cost more than the `budget`.
    """
    _check(layers, budget)
    # least cost of the remaining layers: prunes partial allocations that can't be completed within the budget
    rest = [cheapest(layers[number + 1 :]) for number in range(len(layers))]
    frontier: list[tuple[int, float]] = [(0, 0.0)]
    steps: list[list[tuple[int, int]]] = []  # per layer and way: the way it came from, and the choice
    for choices, needed in zip(layers, rest, strict=True):
        ways = sorted(
            (cost + choice.cost, harm + choice.harm, before, number)
            for before, (cost, harm) in enumerate(frontier)
            for number, choice in enumerate(choices)
            if cost + choice.cost + needed <= budget
        )
        frontier, step = [], []
        for cost, harm, before, number in ways:
            # sorted by cost: only a lower harm than that of everything cheaper is worth its cost (Pareto front)
            if not frontier or harm < frontier[-1][1]:
                frontier.append((cost, harm))
                step.append((before, number))
        steps.append(step)
    way, chosen = len(frontier) - 1, []
    for step in reversed(steps):
        way, number = step[way]
        chosen.append(number)
    return chosen[::-1]


def in_order(layers: Sequence[Sequence[Choice]], budget: int) -> list[int]:
    """Return the number of the choice for each of the `layers`: the dearest that fit, from the first layer on.

    No harm is looked at: the control that shows what measuring it is worth.

    Raises:
        ValueError: even the cheapest choices cost more than the `budget`.
    """
    _check(layers, budget)
    chosen, left = [], budget - cheapest(layers)
    for choices in layers:
        least = min(choice.cost for choice in choices)
        number = max(
            (n for n, choice in enumerate(choices) if choice.cost - least <= left), key=lambda n: choices[n].cost
        )
        left -= choices[number].cost - least
        chosen.append(number)
    return chosen


def _check(layers: Sequence[Sequence[Choice]], budget: int) -> None:
    least = cheapest(layers)
    if budget < least:
        raise ValueError(f"the budget of {budget} bits is below the {least} that the cheapest choices cost")
