"""The losses of hidden states and attention maps, and that between two vocabularies."""

import math

import torch

from potstill.trainers.losses import attention_match, cosine, uld

N, V = 12, 17


def gradient(loss, student):
    student = student.clone().requires_grad_()
    (actual,) = torch.autograd.grad(loss(student).sum(), student)
    return actual


def test_cosine_sees_direction_only():
    states = torch.tensor([[3.0, 4.0], [1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    others = torch.tensor([[6.0, 8.0], [0.0, 2.0], [-5.0, 0.0], [1.0, 0.0]])
    torch.testing.assert_close(cosine(states, others), torch.tensor([0.0, 1.0, 2.0, 1.0]), atol=1e-6, rtol=0)
    assert gradient(lambda x: cosine(x, others), states).isfinite().all()
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        some = torch.randn(N, V, generator=generator)
        assert (cosine(some, 3 * some) >= 0).all() and cosine(some, 3 * some).max() < 1e-6


def test_attention_is_compared_head_by_head_or_by_the_mean_map():
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(2, heads, 4, 4, generator=generator).softmax(-1) for heads in (2, 2))
    present = torch.tensor([[True, True, True, False], [True, True, True, True]])
    actual = attention_match(student, teacher, present)
    first = ((student - teacher)[0, :, :3, :3] ** 2).mean(dim=(0, 2))
    second = ((student - teacher)[1] ** 2).mean(dim=(0, 2))
    torch.testing.assert_close(actual, torch.cat([first, second]))
    # twice the heads, each twice: the same mean map
    torch.testing.assert_close(
        attention_match(student, teacher.repeat(1, 2, 1, 1), present),
        attention_match(student.mean(1, keepdim=True), teacher.mean(1, keepdim=True), present),
    )
    assert attention_match(teacher, teacher, present).max() == 0
    for spoilt in (9.0, -math.inf):
        other = student.clone()
        other[0, :, 3, :], other[0, :, :, 3] = spoilt, spoilt
        assert torch.equal(attention_match(other, teacher, present), actual)
        slope = gradient(lambda x: attention_match(x, teacher, present), other)
        assert slope.isfinite().all() and slope[0, :, 3].abs().max() == 0


def test_uld_compares_sorted_probabilities_of_any_two_vocabularies():
    student = torch.tensor([[0.1, 0.6, 0.3]]).log()
    teacher = torch.tensor([[0.05, 0.15, 0.7, 0.1]]).log()
    torch.testing.assert_close(uld(student, teacher, 1.0), torch.tensor([0.1 + 0.15 + 0.0 + 0.05]))
    torch.testing.assert_close(uld(teacher, student, 1.0), uld(student, teacher, 1.0))
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (3 * torch.randn(N, size, generator=generator) for size in (V, 2 * V))
    shuffled = ours[:, torch.randperm(V, generator=generator)]
    assert uld(shuffled, ours, 2.0).max() < 1e-6
    assert (uld(ours, theirs, 2.0) > 0).all() and (uld(100 * ours, theirs, 1.0) <= 2).all()

    def by_hand(x):
        p = theirs.double().softmax(-1).sort(descending=True).values
        q = torch.cat([x.double().softmax(-1), torch.zeros(N, V)], dim=-1).sort(descending=True).values
        return (p - q).abs().sum(-1)

    actual = gradient(lambda x: uld(x, theirs, 1.0), ours)
    torch.testing.assert_close(actual, gradient(by_hand, ours), atol=1e-6, rtol=1e-4)
