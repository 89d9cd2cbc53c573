"""The losses against closed forms, dense references and autograd."""

import itertools
import math

import pytest
import torch

from potstill.trainers.losses import cross_entropy, forward_kl, topk_tail_divergence

N, V = 12, 17


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(0)
    return tuple(3 * torch.randn(N, V, generator=generator) for _ in range(2))


def top(teacher_logits, k):
    kept = torch.log_softmax(teacher_logits, dim=-1).topk(k)
    return kept.indices, kept.values


def gradient(loss, student):
    student = student.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss(student).sum(), student)
    return found


def test_cross_entropy_is_the_negative_log_softmax_and_its_gradient(logits):
    student, _ = logits
    labels = torch.arange(N) % V
    torch.testing.assert_close(cross_entropy(student, labels), -torch.log_softmax(student, -1)[torch.arange(N), labels])
    expected = student.softmax(-1) - torch.nn.functional.one_hot(labels, V)
    torch.testing.assert_close(gradient(lambda x: cross_entropy(x, labels), student), expected)


def test_forward_kl_of_two_categories_is_the_closed_form():
    p, q = 0.8, 0.3
    teacher, student = torch.tensor([[p, 1 - p]]).log(), torch.tensor([[q, 1 - q]]).log()
    expected = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    assert forward_kl(student, teacher, 1.0).item() == pytest.approx(expected, rel=1e-5)
    softened = forward_kl(student, teacher, 2.0).item()
    a, b = p**0.5 / (p**0.5 + (1 - p) ** 0.5), q**0.5 / (q**0.5 + (1 - q) ** 0.5)
    assert softened == pytest.approx(a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b)), rel=1e-5)


def test_forward_kl_gradient_is_student_minus_teacher_over_temperature(logits):
    student, teacher = logits
    for temperature in (1.0, 3.0):
        expected = ((student / temperature).softmax(-1) - (teacher / temperature).softmax(-1)) / temperature
        found = gradient(lambda x, t=temperature: forward_kl(x, teacher, t), student)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_squared_temperature_keeps_the_gradient_in_scale(logits):
    student, teacher = logits
    norms = {t: gradient(lambda x, t=t: forward_kl(x, teacher, t), student).norm().item() for t in (4.0, 8.0)}
    assert norms[8.0] < norms[4.0] / 2.5
    assert 64 * norms[8.0] == pytest.approx(16 * norms[4.0], rel=0.5)


def test_divergences_are_zero_for_equal_distributions_and_positive_otherwise(logits):
    student, teacher = logits
    ids, logprobs = top(teacher, 4)
    # the same distribution, other logits
    assert topk_tail_divergence(teacher + 5, ids, logprobs).abs().max() < 1e-5
    assert forward_kl(teacher + 5, teacher, 2.0).abs().max() < 1e-5
    assert (topk_tail_divergence(student, ids, logprobs) > 0).all()
    assert (forward_kl(student, teacher, 1.0) > 0).all()


def test_topk_is_the_divergence_of_k_plus_one_categories(logits):
    student, teacher = logits
    ids, logprobs = top(teacher, 4)
    p, q = logprobs.exp(), student.softmax(-1).gather(-1, ids)
    p, q = (torch.cat([x, 1 - x.sum(-1, keepdim=True)], dim=-1) for x in (p, q))
    torch.testing.assert_close(topk_tail_divergence(student, ids, logprobs), (p * (p / q).log()).sum(-1))

    def by_hand(x):
        kept = x.softmax(-1).gather(-1, ids)
        kept = torch.cat([kept, 1 - kept.sum(-1, keepdim=True)], dim=-1)
        return (p * (p / kept).log()).sum(-1)

    found = gradient(lambda x: topk_tail_divergence(x, ids, logprobs), student)
    torch.testing.assert_close(found, gradient(by_hand, student), atol=1e-6, rtol=1e-4)


def test_topk_is_at_most_dense_and_grows_with_k_up_to_it(logits):
    student, teacher = logits
    dense = forward_kl(student, teacher, 1.0)
    values = [topk_tail_divergence(student, *top(teacher, k)) for k in (1, 2, 4, 8, V - 1, V)]
    for smaller, larger in itertools.pairwise(values):
        assert (smaller <= larger + 1e-5).all()
    torch.testing.assert_close(values[-1], dense, atol=1e-5, rtol=1e-5)


def test_whole_vocabulary_kept_has_the_dense_gradient(logits):
    student, teacher = logits
    found = gradient(lambda x: topk_tail_divergence(x, *top(teacher, V)), student)
    torch.testing.assert_close(found, gradient(lambda x: forward_kl(x, teacher, 1.0), student), atol=1e-5, rtol=1e-4)


def test_a_student_that_takes_the_tails_mass_is_not_rewarded():
    teacher = torch.tensor([[0.6, 0.2, 0.1, 0.1]]).log()
    ids, logprobs = top(teacher, 2)
    renormalized = torch.tensor([[0.75, 0.25, 1e-9, 1e-9]]).log()
    truncated = (logprobs.exp() * (logprobs - renormalized.gather(-1, ids))).sum(-1)
    assert truncated.item() < 0
    assert topk_tail_divergence(renormalized, ids, logprobs).item() > 1


@pytest.mark.parametrize("student_peak", [0.0, 5.0, 40.0, 200.0])
@pytest.mark.parametrize("teacher_peak", [0.0, 5.0, 40.0, 200.0])
def test_finite_when_all_the_mass_is_captured(student_peak, teacher_peak):
    student, teacher = torch.zeros(2, V), torch.zeros(2, V)
    student[:, 0], teacher[:, 0] = student_peak, teacher_peak
    ids, logprobs = top(teacher, 3)
    # half precision, as journals and parquet files may hold it
    for stored in (logprobs, logprobs.half()):
        value = topk_tail_divergence(student, ids, stored)
        assert value.isfinite().all() and (value > -1e-6).all()
        assert gradient(lambda x, s=stored: topk_tail_divergence(x, ids, s), student).isfinite().all()


def test_losses_are_per_token_float32_even_for_half_precision_logits(logits):
    student, teacher = (x.bfloat16() for x in logits)
    ids, logprobs = top(teacher.float(), 4)
    for value in (
        cross_entropy(student, ids[:, 0]),
        forward_kl(student, teacher, 1.0),
        topk_tail_divergence(student, ids, logprobs.half()),
    ):
        assert value.shape == (N,) and value.dtype == torch.float32


def test_a_token_does_not_change_anothers_loss(logits):
    student, teacher = logits
    ids, logprobs = top(teacher, 4)
    before = topk_tail_divergence(student, ids, logprobs)
    student[3] += torch.arange(V)
    after = topk_tail_divergence(student, ids, logprobs)
    assert after[3] != before[3]
    assert torch.equal(torch.cat([after[:3], after[4:]]), torch.cat([before[:3], before[4:]]))
