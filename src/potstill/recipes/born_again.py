"""Born-again networks: a student as large as its teacher becomes the teacher of the next."""

from __future__ import annotations

from potstill.engine.step import Model, Rows, Step
from potstill.recipes.lessons import CLASSIFIERS, Train, at_least_one, reseeded
from potstill.recipes.students import Course


def BornAgain(  # noqa: N802 - stands among steps in a pipeline
    rows: Rows, *, student: Model, rounds: int = 3, teacher: Model | None = None, train: Train = CLASSIFIERS
) -> Course:
    """Return `rounds` students, each of which learns from the one before it, and first the teacher of the first.

    Furlanello et al. 2018 ("Born Again Neural Networks", arXiv 1805.04770, section 3): every generation has the same
    size, starts afresh from another seed, and learns the labels together with the distribution of its predecessor.
    Here each starts from `student` as it is, so a pretrained one starts from its pretraining and a new head.

    Args:
        rows: what all generations learn from.
        student: where every generation starts.
        rounds: generations that have a teacher.
        teacher: teacher of the first; None trains one on the labels alone, which then comes first in the course.
        train: makes each training step; `TrainClassifier(like=...)` or `TrainCausal(like=...)` set parameters.

    Raises:
        BadInput: there is not one round.

    >>> rows = LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}])
    >>> born = BornAgain(rows, student=encoder, rounds=2, train=TrainClassifier(Classifier(rows, student=encoder)))
    >>> [step.seed for step in born], born[2].rows.model is born[1]
    ([0, 1, 2], True)
    """
    at_least_one(rounds)
    students: list[Step] = [] if teacher is not None else [train(rows, student, None)]
    for number in range(1, rounds + 1):
        students.append(reseeded(train(rows, student, students[-1] if students else teacher), number))
    return Course(students)
