"""trl's kernel is where we look for it, and computes what our own losses do."""

import pytest
import torch

from potstill.models.hidden_states import Projection
from potstill.trainers import losses
from potstill.trainers.language_models import trl_kernel
from potstill.trainers.language_models.divergence import Divergence
from potstill.trainers.language_models.soft_objective import SoftObjective

N, V = 9, 40


@pytest.fixture
def models():
    generator = torch.Generator().manual_seed(0)
    student, weight, teacher, theirs = (
        torch.randn(*shape, generator=generator) for shape in ((N, 8), (V, 8), (N, 12), (V + 3, 12))
    )
    student, weight = student.requires_grad_(), weight.requires_grad_()
    return Projection(student, weight, None, 0.5), Projection(teacher, theirs, None, 1.0, 6.0)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 0.2])
def test_equals_our_losses_and_their_gradients(models, beta, temperature):
    student, teacher = models[0], models[1].cut(V)
    ours = losses.jensen_shannon(student.logits(slice(None)), teacher.logits(slice(None)), temperature, beta)
    theirs = trl_kernel.divergence(student, teacher, beta, temperature)
    torch.testing.assert_close(theirs, ours, atol=2e-5, rtol=1e-4)
    assert (theirs >= 0).all()
    weights = torch.arange(float(N))
    slopes = [torch.autograd.grad(result @ weights, (student.states, student.weight)) for result in (theirs, ours)]
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_an_objective_says_the_same_with_it_and_without(models):
    student, teacher = models
    assert not trl_kernel.usable(student)  # on a CPU
    for name in ("forward_kl", "reverse_kl", "jensen_shannon"):
        divergence = Divergence(name)
        objective = SoftObjective(1.0, 2.0, divergence, lambda batch: teacher, 4)
        plain = objective(student, {"labels": torch.zeros(N, dtype=torch.long)})
        fused = objective.fused(student, teacher, divergence.kernel_beta)
        torch.testing.assert_close(fused.total(), plain.total(), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(fused.metrics["divergence"], plain.metrics["divergence"], atol=1e-4, rtol=1e-4)
