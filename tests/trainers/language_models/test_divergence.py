"""The choice of a divergence: what temperature does to its gradient, and what its parameters apply to."""

from typing import get_args

import pytest
import torch

from potstill.trainers import losses
from potstill.trainers.language_models.divergence import Divergence, Name


@pytest.mark.parametrize("name", get_args(Name))
def test_the_factor_keeps_the_gradient_in_scale_at_any_temperature(name):
    generator = torch.Generator().manual_seed(0)
    student, teacher = (3 * torch.randn(12, 17, generator=generator) for _ in range(2))
    divergence = Divergence(name)
    plain, scaled = [], []
    for temperature in (4.0, 8.0, 16.0):
        ours = student.clone().requires_grad_()
        (slope,) = torch.autograd.grad(divergence(ours, teacher, temperature).sum(), ours)
        plain.append(slope.norm().item())
        scaled.append(plain[-1] * divergence.factor(temperature))
    assert max(scaled) < 1.6 * min(scaled)
    if name != "mean_squared_error":
        assert plain[2] < plain[0] / (2.5 if name in ("total_variation", "uld") else 8)
    assert divergence.factor(1.0) == 1


def test_each_name_is_its_function_and_parameters_reach_it():
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(3, 5, generator=generator) for _ in range(2))
    assert torch.equal(
        Divergence("jensen_shannon", beta=0.2)(student, teacher, 2.0),
        losses.jensen_shannon(student, teacher, 2.0, 0.2),
    )
    for name in ("skew_kl", "skew_reverse_kl"):
        expected = getattr(losses, name)(student, teacher, 2.0, 0.4)
        assert torch.equal(Divergence(name, skew=0.4)(student, teacher, 2.0), expected)
    for name in ("forward_kl", "reverse_kl", "total_variation"):
        assert torch.equal(Divergence(name)(student, teacher, 2.0), getattr(losses, name)(student, teacher, 2.0))
    assert torch.equal(
        Divergence("mean_squared_error")(student, teacher, 1.0), losses.mean_squared_error(student, teacher)
    )
    assert [Divergence(name, beta=0.2).kernel_beta for name in get_args(Name)[:4]] == [0.0, 1.0, 0.2, None]


def test_parameters_that_say_nothing_are_named():
    assert not [problem for name in get_args(Name) for problem in Divergence(name).problems(1.0)]
    assert not list(Divergence("jensen_shannon", beta=0.2).problems(2.0))
    [problem] = Divergence("reverse_kl", beta=0.2).problems(2.0)
    assert problem.field == "beta" and "reverse_kl has none" in problem.message
    [problem] = Divergence("jensen_shannon", skew=0.2).problems(1.0)
    assert problem.field == "skew"
    [problem] = Divergence("mean_squared_error").problems(2.0)
    assert problem.field == "temperature" and "is 2" in problem.message
