"""Agreement of two models on the same tokens, against the whole divergence."""

import numpy as np
import pytest

from potstill.metrics import token_agreement


def top(probabilities, k):
    ids = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return ids, np.log(np.take_along_axis(probabilities, ids, 1))


def test_with_all_entries_it_is_the_whole_divergence_and_with_fewer_never_more():
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(50), 20), rng.dirichlet(np.ones(50), 20)
    whole = (p * np.log(p / q)).sum(1)
    assert token_agreement(*top(p, 50), *top(q, 50)).kl == pytest.approx(whole)
    last = np.zeros(20)
    for k in (5, 20, 50):
        both = token_agreement(*top(p, k), *top(q, k))
        assert (both.kl <= whole + 1e-9).all()
        assert both.kl.mean() >= last.mean()
        last = both.kl


def test_a_model_agrees_with_itself():
    p = np.random.default_rng(1).dirichlet(np.ones(30), 8)
    both = token_agreement(*top(p, 8), *top(p, 8))
    assert both.kl == pytest.approx(0, abs=1e-9)
    assert both.top1.all()
    assert (both.mass < 1).all()


def test_texts_of_different_length_are_refused():
    ids, logprobs = top(np.full((2, 4), 0.25), 2)
    with pytest.raises(ValueError, match="2 positions of the teacher and 1"):
        token_agreement(ids, logprobs, ids[:1], logprobs[:1])
