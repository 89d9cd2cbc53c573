"""Gates that are often exactly 0 or 1, and what is expected of them."""

from __future__ import annotations

import pytest
import torch

from potstill.compression.pruning import hard_concrete

LOCATIONS = torch.tensor([-4.0, -1.5, 0.0, 0.7, 3.0])


def draws(count=200_000):
    uniform = torch.rand(count, len(LOCATIONS), generator=torch.Generator().manual_seed(0))
    return hard_concrete.sample(LOCATIONS.expand(count, -1), uniform)


def test_the_probability_of_an_open_gate_is_that_of_the_simulation():
    simulated = (draws() > 0).float().mean(0)
    torch.testing.assert_close(hard_concrete.open_probability(LOCATIONS), simulated, atol=0.005, rtol=0)


def test_gates_are_exactly_closed_and_open_with_a_probability():
    gates = draws()
    assert gates.min() >= 0 and gates.max() <= 1
    # by symmetry a gate at 0 is as often exactly 1 as exactly 0
    assert (gates[:, 2] == 1).float().mean() == pytest.approx(float((gates[:, 2] == 0).float().mean()), abs=0.005)
    assert ((gates > 0) & (gates < 1)).any()


def test_gates_learn():
    location = torch.zeros(1000, requires_grad=True)
    hard_concrete.sample(location, torch.rand(1000, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert (location.grad >= 0).all() and location.grad.mean() > 0.1


def test_after_training_there_is_no_noise():
    result = hard_concrete.expected(torch.tensor([-10.0, 0.0, 10.0]))
    assert result.tolist() == pytest.approx([0, 0.5, 1])
