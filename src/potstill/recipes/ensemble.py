"""An ensemble of teachers in one student."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, InitVar, field

from potstill.engine.step import Rows, Step
from potstill.models.edge import Model
from potstill.recipes.lessons import CLASSIFIERS, Averaged, Train, Trainer, lesson, no_list, train_problems
from potstill.recipes.students import Course


class Ensemble(Course):
    """Train the student of several teachers, whose probabilities are averaged with weights.

    Hinton et al. 2015 (arXiv 1503.02531, sections 2 and 3): the arithmetic mean of the teachers' distributions is the
    soft target. Each teacher labels the rows in a step of its own, so adding a teacher runs only that one. The
    ensembles of Furlanello et al. 2018 are `Ensemble(rows, teachers=BornAgain(...), ...)`.

    >>> rows = LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}])
    >>> [only] = Ensemble(rows, teachers=["one", "other"], weights=(0.7, 0.3), student=encoder)
    >>> [version.model for version in only.rows.rows], only.rows.weights
    (['one', 'other'], (0.7, 0.3))
    """

    rows: Rows
    """What the student learns from."""
    _: KW_ONLY
    teachers: Sequence[Model]
    """Trained models with the same classes."""
    student: InitVar[Model] = field()
    """Where the student starts; `.student` of the recipe is the trained one."""
    weights: Sequence[float] = ()
    """Weight of each teacher; they add up to 1. Empty weighs all alike."""
    train: Train | Trainer = CLASSIFIERS
    """How it is trained: a `Classifier` with its parameters, or a `Train` that takes an `Averaged`."""

    def __post_init__(self, student: Model) -> None:
        """Build the student.

        Raises:
            BadInput: naming all that is wrong, or `train` can't average.
        """
        self._build(self._only(student), no_list(self.teachers, "teachers"), train_problems(self.train))

    def _only(self, student: Model) -> Iterator[Step]:
        """Yield the one student."""
        yield lesson(self.train)(self.rows, student, Averaged(tuple(self.teachers), tuple(self.weights)))
