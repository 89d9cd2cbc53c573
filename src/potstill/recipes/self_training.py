"""Self-training: a student labels what nobody labelled, and learns again from what it is sure of."""

from __future__ import annotations

from potstill.engine.step import Model, Rows, Step
from potstill.recipes.lessons import CLASSIFIERS, Train, at_least_one
from potstill.recipes.students import Course
from potstill.steps.filtering.confidence import KeepConfident
from potstill.steps.labelling.add_pseudo_labels import AddPseudoLabels
from potstill.steps.labelling.task_model import RunTaskModel
from potstill.steps.rows.columns import Select


def SelfTraining(  # noqa: N802 - stands among steps in a pipeline
    labelled: Rows,
    unlabelled: Rows,
    *,
    student: Model,
    rounds: int = 3,
    threshold: float = 0.9,
    per_class: int | None = None,
    soft: bool = False,
    text: str = "text",
    label: str = "label",
    train: Train = CLASSIFIERS,
) -> Course:
    """Return the student of the labelled rows alone, and one for each round.

    In a round the last student labels all unlabelled rows, those at least as sure as `threshold` join the labelled
    ones, and a new student learns from both, from the start again. The scheme is Scudder's (1965, "Probability of error
    of some adaptive pattern-recognition machines") and Yarowsky's (1995, "Unsupervised word sense disambiguation
    rivaling supervised methods", section 3, steps 3b to 3d): every round labels everything anew, so that a row may
    change its label or lose it, and an early mistake need not stay.

    What a student is sure of is what it knows already, and of the easy classes it is sure first: they grow each round
    at the cost of the others. `per_class` holds the balance, at the price of sure rows that are left out; it suits
    unlabelled rows whose classes are about as frequent as those of the labelled ones.

    Args:
        labelled: texts with their labels, of at least two classes; they are part of every round.
        unlabelled: texts; a label that they may have is not read.
        student: where every student starts.
        rounds: how often the unlabelled rows are labelled.
        threshold: least probability of the label, from 0 to 1; a student that fits few rows well is too sure of all.
        per_class: most rows that are added of each class; None adds all above the threshold.
        soft: whether a new student learns the old one's probabilities of these rows instead of the label alone.
        text: column with the text.
        label: column with the label.
        train: makes each training step; `TrainClassifier(like=...)` sets parameters.

    Raises:
        BadInput: there is not one round.

    >>> rows = LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}])
    >>> course = SelfTraining(rows, LoadRows([{"text": "fun"}]), student=encoder, rounds=2, threshold=0.8)
    >>> course[2].rows.picks[0].rows.model is course[1], len(course)
    (True, 3)
    """
    at_least_one(rounds)
    known, texts = Select(labelled, [text, label]), Select(unlabelled, [text])
    students: list[Step] = [train(known, student, None)]
    for _ in range(rounds):
        tagged = RunTaskModel(texts, students[-1], column=text)
        sure = KeepConfident(tagged, threshold=threshold, per_class=per_class)
        students.append(train(AddPseudoLabels(known, [sure], keep=(text,), label=label, soft=soft), student, None))
    return Course(students)
