"""The label model recovers what the labellers are, from their votes alone: exact populations, closed forms, samples."""

import itertools

import numpy as np
import pytest

from potstill.labelling.label_model import ABSTAIN, LabelModel, fit, habits, majority_posterior


def population(prior, confusion, coverage):
    """Return every pattern of votes and its exact probability."""
    labellers, classes = len(confusion), len(prior)
    patterns = np.array(list(itertools.product([ABSTAIN, *range(classes)], repeat=labellers)))
    weights = []
    for pattern in patterns:
        total = 0.0
        for truth, share in enumerate(prior):
            part = share
            for labeller, vote in enumerate(pattern):
                votes = coverage[labeller]
                part *= 1 - votes if vote == ABSTAIN else votes * confusion[labeller][truth][vote]
            total += part
        weights.append(total)
    return patterns, np.array(weights)


def coins(accuracies, classes):
    """Return confusion matrices of one-coin labellers."""
    return np.array([np.where(np.eye(classes, dtype=bool), a, (1 - a) / (classes - 1)) for a in accuracies])


def test_one_coin_finds_the_exact_accuracies_and_prior_of_a_population() -> None:
    accuracies, prior = [0.9, 0.8, 0.7, 0.6], np.array([0.5, 0.3, 0.2])
    votes, weights = population(prior, coins(accuracies, 3), [1.0, 0.8, 0.9, 0.5])
    model = fit(votes, weights, 3, "one_coin", smoothing=0.0, iterations=20_000, tolerance=1e-12)
    assert model.accuracies == pytest.approx(accuracies, abs=1e-4)
    assert model.prior == pytest.approx(prior, abs=1e-4)


def test_dawid_skene_finds_whole_confusion_matrices() -> None:
    said_right = [(0.9, 0.7), (0.8, 0.9), (0.7, 0.75), (0.85, 0.6)]  # of the first class, of the second
    confusion = np.array([[[first, 1 - first], [1 - second, second]] for first, second in said_right])
    prior = np.array([0.6, 0.4])
    votes, weights = population(prior, confusion, [0.9, 0.7, 1.0, 0.6])
    model = fit(votes, weights, 2, "dawid_skene", smoothing=0.0, iterations=20_000, tolerance=1e-12)
    assert model.confusion == pytest.approx(confusion, abs=1e-3)
    assert model.prior == pytest.approx(prior, abs=1e-3)


def test_one_coin_agrees_with_the_closed_form_of_three_labellers() -> None:
    """For two balanced classes E[x_i x_j] = (2 a_i - 1)(2 a_j - 1), so three products give all three accuracies."""
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 2, 40_000)
    accuracies = [0.85, 0.75, 0.65]
    votes = np.stack([np.where(draw.random(len(truth)) < a, truth, 1 - truth) for a in accuracies], axis=1)
    signs = 2 * votes - 1
    product = [[float((signs[:, i] * signs[:, j]).mean()) for j in range(3)] for i in range(3)]
    closed = [
        0.5 + 0.5 * np.sqrt(product[i][j] * product[i][k] / product[j][k])
        for i, j, k in ((0, 1, 2), (1, 0, 2), (2, 0, 1))
    ]
    patterns, counts = np.unique(votes, axis=0, return_counts=True)
    model = fit(patterns, counts.astype(float), 2, "one_coin")
    assert model.accuracies == pytest.approx(closed, abs=5e-3)
    assert model.accuracies == pytest.approx(accuracies, abs=2e-2)


@pytest.mark.parametrize("kind", ["one_coin", "dawid_skene"])
def test_from_samples_with_abstentions_the_accuracies_come_back_and_beat_the_majority(kind) -> None:
    draw = np.random.default_rng(1)
    truth = draw.integers(0, 4, 4_000)
    accuracies, coverage = [0.95, 0.6, 0.55, 0.5, 0.5], [0.7, 0.9, 0.6, 0.8, 0.8]
    votes = []
    for right, covers in zip(accuracies, coverage, strict=True):
        wrong = (truth + draw.integers(1, 4, len(truth))) % 4
        cast = np.where(draw.random(len(truth)) < right, truth, wrong)
        votes.append(np.where(draw.random(len(truth)) < covers, cast, ABSTAIN))
    matrix = np.stack(votes, axis=1)
    model = fit(matrix, np.ones(len(matrix)), 4, kind)
    assert model.accuracies == pytest.approx(accuracies, abs=0.05)
    learned = (model.posterior(matrix).argmax(axis=1) == truth).mean()
    plain = (majority_posterior(matrix, 4).argmax(axis=1) == truth).mean()
    assert learned > plain + 0.03


def test_the_posterior_is_bayes_rule_and_an_abstention_says_nothing() -> None:
    model = LabelModel(np.array([0.5, 0.5]), coins([0.9, 0.8], 2))
    posterior = model.posterior(np.array([[0, 0], [0, 1], [0, ABSTAIN], [ABSTAIN, ABSTAIN]]))
    assert posterior[:, 0] == pytest.approx([0.72 / 0.74, 0.18 / 0.26, 0.9, 0.5])


def test_majority_shares_and_ties() -> None:
    shares = majority_posterior(np.array([[0, 0, 1], [0, 1, ABSTAIN], [ABSTAIN] * 3]), 2)
    assert shares.tolist() == [[pytest.approx(2 / 3), pytest.approx(1 / 3)], [0.5, 0.5], [0.5, 0.5]]


def test_coverage_overlap_and_conflict() -> None:
    actual = habits(np.array([[0, 0, ABSTAIN], [0, 1, ABSTAIN], [1, ABSTAIN, ABSTAIN]]), np.array([2.0, 1.0, 1.0]))
    assert actual.coverage.tolist() == [1.0, 0.75, 0.0]
    assert actual.overlap.tolist() == [0.75, 0.75, 0.0]
    assert actual.conflict.tolist() == [0.25, 0.25, 0.0]


def test_a_labeller_that_never_votes_harms_nothing() -> None:
    votes = np.array([[0, 0, ABSTAIN], [1, 1, ABSTAIN], [0, 1, ABSTAIN]])
    model = fit(votes, np.array([5.0, 5.0, 1.0]), 2, "one_coin")
    assert np.isfinite(model.accuracies).all()
    assert model.posterior(votes)[:2].argmax(axis=1).tolist() == [0, 1]
