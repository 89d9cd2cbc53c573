"""One training of a recipe: how a student is trained on rows, with a teacher or without."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import Any, Protocol

from potstill.engine.recipe import built
from potstill.engine.step import Rows, Step
from potstill.errors import BadInput, Problem
from potstill.models.edge import Model
from potstill.recipes.students import Course
from potstill.steps.labelling.add_pseudo_labels import AddPseudoLabels
from potstill.steps.labelling.average_probabilities import AverageProbabilities
from potstill.steps.labelling.class_probabilities import ClassProbabilities
from potstill.trainers.encoders.classifier import Classifier
from potstill.trainers.language_models.hard_label import HardLabel
from potstill.trainers.language_models.soft_label import SoftLabel


@dataclass(frozen=True)
class Averaged:
    """Several teachers in place of one: the weighted mean of their probabilities."""

    teachers: tuple[Model, ...]
    """Steps, folders or Hub ids."""
    weights: tuple[float, ...] = ()
    """Weight of each; they add up to 1. Empty weighs all alike."""


class Train(Protocol):
    """Makes the step that trains a student."""

    def __call__(self, rows: Rows, student: Model, teacher: Model | Averaged | None) -> Step:
        """Return the step that trains `student` on `rows`, distilled from `teacher` if there is one."""


@dataclass(frozen=True)
class TrainClassifier:
    """Trains encoders: a teacher's probabilities are written into the rows once, and the student learns them.

    Without a teacher, and without soft pseudo-labels in the rows, only the labels count.
    """

    like: Classifier | None = None
    """A trainer whose parameters every lesson takes; its rows and student are replaced."""

    def __call__(self, rows: Rows, student: Model, teacher: Model | Averaged | None) -> Classifier:
        """Return the trainer of `student`."""
        text = self.like.text if self.like else "text"
        labelled = rows if teacher is None else classified(rows, teacher, text)
        if self.like is None:
            return Classifier(labelled, student=student)
        soft = teacher is not None or (isinstance(rows, AddPseudoLabels) and rows.soft)
        alpha = self.like.alpha if soft else None
        return dataclasses.replace(self.like, rows=labelled, student=student, alpha=alpha, teacher=None, name=None)


@dataclass(frozen=True)
class TrainCausal:
    """Trains causal language models on the rows' `output`, with a live teacher beside the student if there is one."""

    like: SoftLabel | HardLabel | None = None
    """A trainer whose parameters every lesson takes; its rows, student and teacher are replaced."""

    def __call__(self, rows: Rows, student: Model, teacher: Model | Averaged | None) -> Step:
        """Return the trainer of `student`.

        Raises:
            BadInput: there are several teachers.
        """
        if isinstance(teacher, Averaged):
            raise BadInput(
                "several causal teachers can't be averaged, as only one is held beside the student: give "
                "one, or let each write answers and train on all of them"
            )
        if teacher is not None:
            return dataclasses.replace(self.soft(rows, student), rows=rows, student=student, teacher=teacher, name=None)
        return HardLabel(**{**_shared(self.soft(rows, student)), "rows": rows, "student": student, "name": None})

    def soft(self, rows: Rows, student: Model) -> SoftLabel:
        """Return the trainer for students that have a teacher."""
        if isinstance(self.like, HardLabel):
            return SoftLabel(**_shared(self.like))
        return self.like or SoftLabel(rows, student=student)


CLASSIFIERS: Train = TrainClassifier()
"""Trains classifiers with the usual parameters."""
Trainer = Classifier | HardLabel | SoftLabel
"""A trainer whose parameters every lesson takes, in place of `TrainClassifier(like=...)` or `TrainCausal(like=...)`."""


def lesson(train: Train | Trainer) -> Train:
    """Return `train`, or for a trainer the `Train` that takes its parameters."""
    if isinstance(train, Classifier):
        return TrainClassifier(train)
    return TrainCausal(train) if isinstance(train, (HardLabel, SoftLabel)) else train


def train_problems(train: object) -> Iterator[Problem]:
    """Yield that `train` is neither a trainer nor callable."""
    if not callable(train) and not isinstance(train, Trainer):
        text = "must be a Classifier, HardLabel or SoftLabel, or make a trainer from (rows, student, teacher)"
        yield Problem("", "train", f"{text}; got a {type(train).__name__}")


def _shared(trainer: HardLabel | SoftLabel) -> dict[str, Any]:
    """Return the parameters that trainers with and without a teacher share."""
    return {field.name: getattr(trainer, field.name) for field in dataclasses.fields(HardLabel)}


def classified(rows: Rows, teacher: Model | Averaged, column: str) -> Rows:
    """Return the rows with a teacher's `probabilities` of each text, or the mean of several teachers'."""
    if isinstance(teacher, Averaged):
        versions: list[Rows] = [ClassProbabilities(rows, one, column=column) for one in teacher.teachers]
        return AverageProbabilities(versions, weights=teacher.weights)
    return ClassProbabilities(rows, teacher, column=column)


def reseeded(step: Step, by: int) -> Step:
    """Return a training step with another seed, so that students of one size don't start alike; others as they are."""
    step = built(step)
    seed = getattr(step, "seed", None) if "seed" in {field.name for field in dataclasses.fields(step)} else None
    return dataclasses.replace(step, seed=seed + by) if isinstance(seed, int) else step  # type: ignore[call-arg]


def no_list(models: object, field: str) -> Iterator[Problem]:
    """Yield that `models` is one model instead of a list, or empty."""
    one = isinstance(models, (str, Step)) and not isinstance(models, Course)
    if one or not isinstance(models, Iterable) or (isinstance(models, Sized) and not len(models)):
        yield Problem("", field, f"must be a list of at least one model, got {models!r:.60}")
