"""Label models: one label from the votes of many imperfect labellers, by majority or EM.

Labellers may abstain: their missing votes are taken as missing at random, so only votes that were cast count.

Shapes: P distinct vote patterns, M labellers, C classes. A vote is the number of a class, or ABSTAIN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

ABSTAIN = -1
"""The vote of a labeller that abstains."""
SMOOTHING = 0.01
"""Votes added to each cell of a confusion matrix, so that no labeller counts as infallible."""
Floats = NDArray[np.float64]
Votes = NDArray[np.int64]


@dataclass(frozen=True)
class LabelModel:
    """Class prior and error rates of the labellers."""

    prior: Floats
    """[C] how frequent each class is."""
    confusion: Floats
    """[M, C, C] probability that labeller m says class l (last) when the truth is class c, given that it votes."""

    @property
    def accuracies(self) -> Floats:
        """Return [M] how often each labeller that votes is right, over classes as frequent as they are."""
        accuracy: Floats = np.einsum("c,mcc->m", self.prior, self.confusion)
        return accuracy

    def posterior(self, votes: Votes) -> Floats:
        """Return the probability [P, C] of each class given the votes [P, M].

        Dawid and Skene 1979 (doi 10.2307/2346806), equation 2.5: prior times the probabilities of all votes cast.
        """
        return _normalized(_evidence(votes, self.confusion) + np.log(self.prior))


def majority_posterior(votes: Votes, classes: int) -> Floats:
    """Return each class's share [P, C] of the votes cast [P, M]; equal shares where nobody votes."""
    counts = _one_hot(votes, classes).sum(axis=1)
    total = counts.sum(axis=1, keepdims=True)
    shares: Floats = np.where(total > 0, counts / np.maximum(total, 1), 1 / classes)
    return shares


def fit(
    votes: Votes,
    weights: Floats,
    classes: int,
    kind: Literal["one_coin", "dawid_skene"],
    *,
    smoothing: float = SMOOTHING,
    iterations: int = 1000,
    tolerance: float = 1e-9,
) -> LabelModel:
    """Return the model that makes the votes most probable, found by EM from the majority's labels.

    Dawid and Skene 1979, section 2: the labels are guessed from the labellers' error rates (equation 2.5) and those
    re-estimated (equations 2.3 and 2.4), in turn. `dawid_skene` gives each labeller a whole confusion matrix;
    `one_coin` one accuracy, its errors spread evenly over the other classes (the one-coin model of Zhang et al. 2016,
    arXiv 1406.3824), which takes far fewer votes to learn. Which way round the classes are can't be seen from votes
    alone: starting from the majority assumes that labellers are right more often than not.

    Args:
        votes: [P, M] patterns of votes.
        weights: [P] how often each occurs.
        classes: C.
        kind: what is learned of each labeller.
        smoothing: votes added to each cell.
        iterations: most rounds.
        tolerance: change of the class probabilities at which to stop.
    """
    cast = _one_hot(votes, classes)
    # rows without any vote must not count into the prior
    weights = weights * (votes != ABSTAIN).any(axis=1)
    guess = majority_posterior(votes, classes)
    model = _counted(cast, guess, weights, kind, smoothing)
    for _ in range(iterations):
        before, guess = guess, model.posterior(votes)
        model = _counted(cast, guess, weights, kind, smoothing)
        if float(np.abs(guess - before).max(initial=0.0)) < tolerance:
            break
    return model


def _counted(
    cast: Floats, guess: Floats, weights: Floats, kind: Literal["one_coin", "dawid_skene"], smoothing: float
) -> LabelModel:
    """Return the error rates that the guessed labels [P, C] mean for the votes [P, M, C] (equations 2.3 and 2.4)."""
    classes = guess.shape[1]
    mass = guess * weights[:, None]
    prior = mass.sum(axis=0) + smoothing
    counts = np.einsum("pc,pml->mcl", mass, cast) + smoothing
    if kind == "one_coin":
        right = np.einsum("mcc->m", counts) / counts.sum(axis=(1, 2))
        # one-coin: errors go to every other class alike
        off = (1 - right) / max(1, classes - 1)
        counts = np.where(np.eye(classes, dtype=bool), right[:, None, None], off[:, None, None])
    return LabelModel(prior / prior.sum(), counts / counts.sum(axis=2, keepdims=True))


def _evidence(votes: Votes, confusion: Floats) -> Floats:
    """Return the log-probability [P, C] of the votes cast, for each class that may be the truth."""
    # logs, because a product over many labellers underflows
    total = np.zeros((len(votes), confusion.shape[1]))
    for labeller, matrix in enumerate(np.log(np.maximum(confusion, 1e-300))):
        cast = votes[:, labeller]
        # an abstention would index the last class; it is read as class 0 and then masked out
        total += np.where((cast != ABSTAIN)[:, None], matrix.T[np.maximum(cast, 0)], 0.0)
    return total


def _normalized(logs: Floats) -> Floats:
    """Return the softmax of each row."""
    # the largest subtracted, or exp overflows
    raised: Floats = np.exp(logs - logs.max(axis=1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=1, keepdims=True)
    return shares


def _one_hot(votes: Votes, classes: int) -> Floats:
    """Return the votes [P, M] as [P, M, C] of zeros and ones; an abstention is all zeros."""
    marked: Floats = (votes[:, :, None] == np.arange(classes)).astype(np.float64)
    return marked


@dataclass(frozen=True)
class Habits:
    """How the labellers vote; each [M], over all rows (names as in Ratner et al. 2017, arXiv 1711.10160)."""

    coverage: Floats
    """Share of the rows on which each votes."""
    overlap: Floats
    """Share on which it votes and another does too."""
    conflict: Floats
    """Share on which it votes and another votes otherwise."""


def habits(votes: Votes, weights: Floats) -> Habits:
    """Return coverage, overlap and conflict of the labellers from patterns [P, M] that occur `weights` [P] times."""
    cast = votes != ABSTAIN
    others = cast.sum(axis=1, keepdims=True) - cast > 0
    differs = np.array(
        [
            [any(c and v != own for v, c in zip(row, on, strict=True)) for own in row]
            for row, on in zip(votes, cast, strict=True)
        ]
    ).reshape(votes.shape)
    share = weights / max(float(weights.sum()), 1e-300)
    return Habits(*(share @ (cast & part) for part in (cast, others, differs)))
