"""The losses against closed forms, dense references and autograd."""

import itertools
import math

import pytest
import torch

from potstill.trainers.losses import (
    agreement,
    cross_entropy,
    forward_kl,
    jensen_shannon,
    mean_squared_error,
    reverse_kl,
    skew_kl,
    skew_reverse_kl,
    topk_tail_divergence,
    total_variation,
)

N, V = 12, 17


def kl(p, q):
    return (p * (p / q).log()).sum(-1)


DIVERGENCES = {
    "forward_kl": (forward_kl, lambda p, q: kl(p, q)),
    "reverse_kl": (reverse_kl, lambda p, q: kl(q, p)),
    "jensen_shannon": (
        lambda s, t, temperature: jensen_shannon(s, t, temperature, 0.3),
        lambda p, q: 0.3 * kl(p, 0.3 * p + 0.7 * q) + 0.7 * kl(q, 0.3 * p + 0.7 * q),
    ),
    "skew_kl": (lambda s, t, temperature: skew_kl(s, t, temperature, 0.1), lambda p, q: kl(p, 0.1 * p + 0.9 * q)),
    "skew_reverse_kl": (
        lambda s, t, temperature: skew_reverse_kl(s, t, temperature, 0.1),
        lambda p, q: kl(q, 0.1 * q + 0.9 * p),
    ),
    "total_variation": (total_variation, lambda p, q: (p - q).abs().sum(-1) / 2),
}
"""Each divergence of student and teacher logits, and its closed form of teacher and student probabilities."""
every = pytest.mark.parametrize(("divergence", "closed_form"), DIVERGENCES.values(), ids=DIVERGENCES)


@pytest.fixture
def logits():
    generator = torch.Generator().manual_seed(0)
    return tuple(3 * torch.randn(N, V, generator=generator) for _ in range(2))


def top(teacher_logits, k):
    kept = torch.log_softmax(teacher_logits, dim=-1).topk(k)
    return kept.indices, kept.values


def gradient(loss, student):
    student = student.clone().requires_grad_()
    (actual,) = torch.autograd.grad(loss(student).sum(), student)
    return actual


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
        actual = gradient(lambda x, t=temperature: forward_kl(x, teacher, t), student)
        torch.testing.assert_close(actual, expected, atol=1e-6, rtol=1e-5)


@every
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_value_and_gradient_are_those_of_the_closed_form(logits, divergence, closed_form, temperature):
    student, teacher = logits

    def expected(x):
        p, q = ((each.double() / temperature).softmax(-1) for each in (teacher, x))
        return closed_form(p, q)

    torch.testing.assert_close(
        divergence(student, teacher, temperature).double(), expected(student), atol=1e-6, rtol=1e-5
    )
    actual = gradient(lambda x: divergence(x, teacher, temperature), student)
    torch.testing.assert_close(actual, gradient(expected, student), atol=1e-6, rtol=1e-4)


@every
def test_zero_for_equal_distributions_and_never_below(divergence, closed_form):
    for seed in range(30):
        generator = torch.Generator().manual_seed(seed)
        teacher = 10 ** (seed % 3 - 1) * torch.randn(N, V, generator=generator)
        # the same distribution from other logits
        assert divergence(teacher + 5, teacher, 2.0).abs().max() < 1e-5
        for apart in (1e-5, 1e-3, 1.0, 30.0):
            student = teacher + apart * torch.randn(N, V, generator=generator)
            assert (divergence(student, teacher, 1.0 + seed % 2) >= 0).all()


@every
@pytest.mark.parametrize("peak", [0.0, 30.0, 300.0])
def test_finite_with_tokens_ruled_out_and_with_all_mass_on_one(divergence, closed_form, peak):
    student, teacher = torch.zeros(3, V), torch.zeros(3, V)
    student[:, 0] = peak
    teacher[0, 1:4], teacher[1, 1] = -math.inf, peak
    teacher[2, 1:] = -math.inf
    for ours in (student, student.masked_fill(teacher.isinf(), -math.inf)):
        assert divergence(ours, teacher, 1.0).isfinite().all()
        assert gradient(lambda x: divergence(x, teacher, 1.0), ours).isfinite().all()
    assert (divergence(student, teacher, 1.0) >= 0).all()


@every
def test_another_targets_row_changes_nothing_and_none_is_no_loss(logits, divergence, closed_form):
    student, teacher = logits
    before, slope = divergence(student, teacher, 2.0), gradient(lambda x: divergence(x, teacher, 2.0), student)
    others = torch.arange(N) != 3
    perturbed = student + 7 * others[:, None] * torch.arange(V)
    assert torch.equal(divergence(perturbed, teacher, 2.0)[3], before[3])
    assert torch.equal(gradient(lambda x: divergence(x, teacher, 2.0), perturbed)[3], slope[3])
    assert divergence(student[:0], teacher[:0], 2.0).shape == (0,)
    assert gradient(lambda x: divergence(x, teacher[:0], 2.0), student[:0]).shape == (0, V)


def test_half_precision_is_raised_before_anything_is_computed(logits):
    student, teacher = (x.bfloat16() for x in logits)
    for divergence, _ in DIVERGENCES.values():
        value = divergence(student, teacher, 2.0)
        assert value.dtype == torch.float32
        assert torch.equal(value, divergence(student.float(), teacher.float(), 2.0))


def test_jensen_shannon_is_symmetric_in_the_middle_bounded_and_meets_both_kls(logits):
    student, teacher = logits
    for beta in (0.1, 0.5, 0.8):
        there, back = jensen_shannon(student, teacher, 1.0, beta), jensen_shannon(teacher, student, 1.0, 1 - beta)
        torch.testing.assert_close(there, back)
        assert (jensen_shannon(100 * student, 100 * teacher, 1.0, beta) <= math.log(2) + 1e-6).all()
    assert torch.equal(jensen_shannon(student, teacher, 2.0, 0.0), forward_kl(student, teacher, 2.0))
    assert torch.equal(jensen_shannon(student, teacher, 2.0, 1.0), reverse_kl(student, teacher, 2.0))
    near, far = 0.001, 0.999
    ours, theirs = student / 5, teacher / 5
    torch.testing.assert_close(
        jensen_shannon(ours, theirs, 1.0, near) / near, forward_kl(ours, theirs, 1.0), rtol=0.02, atol=0
    )
    torch.testing.assert_close(
        jensen_shannon(ours, theirs, 1.0, far) / near, reverse_kl(ours, theirs, 1.0), rtol=0.02, atol=0
    )


def test_skewed_kls_are_bounded_and_without_skew_the_kls(logits):
    student, teacher = logits
    for skewed, plain in ((skew_kl, forward_kl), (skew_reverse_kl, reverse_kl)):
        assert (plain(50 * student, 50 * teacher, 1.0) > 20).any()
        assert (skewed(50 * student, 50 * teacher, 1.0, 0.1) <= -math.log(0.1) + 1e-5).all()
        assert torch.equal(skewed(student, teacher, 2.0, 0.0), plain(student, teacher, 2.0))
        assert (skewed(student, teacher, 1.0, 0.3) < skewed(student, teacher, 1.0, 0.1)).all()


def test_mean_squared_error_is_half_of_what_forward_kl_tends_to_when_hot(logits):
    student, teacher = (x - x.mean(-1, keepdim=True) for x in logits)
    error = mean_squared_error(student, teacher)
    torch.testing.assert_close(error, ((student - teacher) ** 2).sum(-1) / V)
    torch.testing.assert_close(
        1000.0**2 * forward_kl(student.double(), teacher.double(), 1000.0), error / 2, rtol=0.1, atol=0
    )
    assert mean_squared_error(teacher, teacher).max() == 0
    teacher[:, 2] = -math.inf
    assert gradient(lambda x: mean_squared_error(x, teacher), student)[:, 2].abs().max() == 0


def test_topk_takes_minus_infinity_for_what_a_nucleus_left_out(logits):
    student, teacher = logits
    ids, logprobs = top(teacher, 4)
    some = logprobs.masked_fill(torch.arange(4) >= 2, -math.inf)
    assert (topk_tail_divergence(student, ids, some) >= 0).all()
    assert gradient(lambda x: topk_tail_divergence(x, ids, some), student).isfinite().all()


def test_topk_is_zero_for_equal_distributions_and_positive_otherwise(logits):
    student, teacher = logits
    ids, logprobs = top(teacher, 4)
    # the same distribution, other logits
    assert topk_tail_divergence(teacher + 5, ids, logprobs).abs().max() < 1e-5
    assert (topk_tail_divergence(student, ids, logprobs) > 0).all()


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

    actual = gradient(lambda x: topk_tail_divergence(x, ids, logprobs), student)
    torch.testing.assert_close(actual, gradient(by_hand, student), atol=1e-6, rtol=1e-4)


def test_topk_is_at_most_dense_and_grows_with_k_up_to_it(logits):
    student, teacher = logits
    dense = forward_kl(student, teacher, 1.0)
    values = [topk_tail_divergence(student, *top(teacher, k)) for k in (1, 2, 4, 8, V - 1, V)]
    for smaller, larger in itertools.pairwise(values):
        assert (smaller <= larger + 1e-5).all()
    torch.testing.assert_close(values[-1], dense, atol=1e-5, rtol=1e-5)


def test_whole_vocabulary_kept_has_the_dense_gradient(logits):
    student, teacher = logits
    actual = gradient(lambda x: topk_tail_divergence(x, *top(teacher, V)), student)
    torch.testing.assert_close(actual, gradient(lambda x: forward_kl(x, teacher, 1.0), student), atol=1e-5, rtol=1e-4)


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
        assert value.isfinite().all() and (value >= 0).all()
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


def test_agreement_is_the_share_of_equal_first_choices():
    logits = torch.tensor([[0.0, 1.0, -1.0], [2.0, 1.0, 0.0], [0.0, 0.0, 5.0]])
    assert agreement(logits, torch.tensor([1, 1, 2])).tolist() == [1.0, 0.0, 1.0]
    many = torch.randn(50, 30, generator=torch.Generator().manual_seed(0))
    assert agreement(many, many.argmax(-1)).mean() == 1
