"""An ensemble of teachers in one student."""

from __future__ import annotations

from collections.abc import Sequence

from potstill.engine.step import Model, Rows
from potstill.recipes.lessons import CLASSIFIERS, Averaged, Train, some
from potstill.recipes.students import Course


def Ensemble(  # noqa: N802 - stands among steps in a pipeline
    rows: Rows,
    *,
    teachers: Sequence[Model],
    student: Model,
    weights: Sequence[float] = (),
    train: Train = CLASSIFIERS,
) -> Course:
    """Return the student of several teachers, whose probabilities are averaged with weights.

    Hinton et al. 2015 (arXiv 1503.02531, sections 2 and 3): the arithmetic mean of the teachers' distributions is the
    soft target. Each teacher labels the rows in a step of its own, so another teacher asks only that one. The ensembles
    of Furlanello et al. 2018 are `Ensemble(rows, teachers=BornAgain(...), ...)`.

    Args:
        rows: what the student learns from.
        teachers: trained models with the same classes.
        student: where the student starts.
        weights: how much each teacher counts; they add up to 1. Empty counts all the same.
        train: makes the training step, given an `Averaged`; `TrainClassifier(like=...)` sets parameters.

    Raises:
        BadInput: there is no teacher, or `train` can't average.

    >>> rows = LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}])
    >>> [only] = Ensemble(rows, teachers=["one", "other"], weights=(0.7, 0.3), student=encoder)
    >>> [version.model for version in only.rows.rows], only.rows.weights
    (['one', 'other'], (0.7, 0.3))
    """
    return Course([train(rows, student, Averaged(some(teachers, "teachers"), tuple(weights)))])
