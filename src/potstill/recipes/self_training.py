"""Self-training: a student labels unlabelled rows, and the next one learns the confident labels, too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, InitVar, field
from typing import Annotated

from annotated_types import Ge, Interval

from potstill.engine.step import Rows, Step
from potstill.models.edge import Model
from potstill.recipes.lessons import CLASSIFIERS, Train, Trainer, lesson, train_problems
from potstill.recipes.students import Course
from potstill.steps.filtering.confidence import KeepConfident
from potstill.steps.labelling.add_pseudo_labels import AddPseudoLabels
from potstill.steps.labelling.task_model import RunTaskModel
from potstill.steps.rows.columns import Select


class SelfTraining(Course):
    """Train a student of the labelled rows alone, and one for each round of labelling the others.

    In a round the last student labels all unlabelled rows, those with a confidence of at least `threshold` join the
    labelled ones, and a new student is trained on both from the start. The scheme is Scudder's (1965, "Probability of
    error of some adaptive pattern-recognition machines") and Yarowsky's (1995, "Unsupervised word sense disambiguation
    rivaling supervised methods", section 3, steps 3b to 3d): every round labels all rows again, so that a row may
    change its label or lose it, and an early mistake need not stay.

    A student is confident on what it knows already, and on easy classes first: these grow each round at the cost of the
    others. `per_class` keeps the balance, at the price of confident rows that are left out; it suits
    unlabelled rows whose classes are about as frequent as those of the labelled ones.

    >>> rows = LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}])
    >>> course = SelfTraining(rows, LoadRows([{"text": "fun"}]), student=encoder, rounds=2, threshold=0.8)
    >>> course[2].rows.picks[0].rows.model is course[1], len(course)
    (True, 3)
    """

    labelled: Rows
    """Texts with their labels, of at least two classes; they are part of every round."""
    unlabelled: Rows
    """Texts; a label that they may have is not read."""
    _: KW_ONLY
    student: InitVar[Model] = field()
    """Where every student starts; `.student` of the recipe is the last one."""
    rounds: Annotated[int, Ge(1)] = 3
    """How often the unlabelled rows are labelled."""
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.9
    """Least probability of the label, from 0 to 1; a student fitted to few rows is overconfident."""
    per_class: Annotated[int, Ge(1)] | None = None
    """Most rows that are added of each class; None adds all above the threshold."""
    soft: bool = False
    """Whether a new student learns the old one's probabilities of these rows instead of the label alone."""
    text: str = "text"
    """Column with the text."""
    label: str = "label"
    """Column with the label."""
    train: Train | Trainer = CLASSIFIERS
    """How each is trained: a `Classifier` with the parameters of all, or a `Train`."""

    def __post_init__(self, student: Model) -> None:
        """Build the students.

        Raises:
            BadInput: naming all that is wrong.
        """
        self._build(self._rounds(student), train_problems(self.train))

    def _rounds(self, student: Model) -> Iterator[Step]:
        """Yield the students in order."""
        train = lesson(self.train)
        labelled, texts = Select(self.labelled, [self.text, self.label]), Select(self.unlabelled, [self.text])
        last = train(labelled, student, None)
        yield last
        for _ in range(self.rounds):
            tagged = RunTaskModel(texts, last, column=self.text)
            confident = KeepConfident(tagged, threshold=self.threshold, per_class=self.per_class)
            rows = AddPseudoLabels(labelled, [confident], keep=(self.text,), label=self.label, soft=self.soft)
            last = train(rows, student, None)
            yield last
