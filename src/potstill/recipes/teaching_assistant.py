"""Teaching assistants: a large teacher teaches a small student through sizes in between."""

from __future__ import annotations

from collections.abc import Sequence

from potstill.engine.step import Model, Rows, Step
from potstill.recipes.lessons import CLASSIFIERS, Train, some
from potstill.recipes.students import Course


def TeachingAssistant(  # noqa: N802 - stands among steps in a pipeline
    rows: Rows, *, teacher: Model, students: Sequence[Model], train: Train = CLASSIFIERS
) -> Course:
    """Return the students, each of which learns from the one before it, and the first from the teacher.

    Mirzadeh et al. 2019 ("Improved Knowledge Distillation via Teacher Assistant", arXiv 1902.03393, section 3): where
    the gap to the teacher is too large for a student, one of middle size learns first and teaches it; several in a row
    shorten the steps further. One student alone is plain distillation, with which a chain should be compared.

    Args:
        rows: what all learn from.
        teacher: a trained model; for `TrainClassifier` one with the classes of the rows.
        students: where each starts, the largest first, such as `KeepLayers` of the teacher.
        train: makes each training step; `TrainClassifier(like=...)` or `TrainCausal(like=...)` set parameters.

    Raises:
        BadInput: there is no student.

    >>> rows = LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}])
    >>> chain = TeachingAssistant(rows, teacher="large", students=["middle", "small"])
    >>> chain[0].rows.model, chain[1].rows.model is chain[0], chain.student.student
    ('large', True, 'small')
    """
    trained: list[Step] = []
    for start in some(students, "students"):
        trained.append(train(rows, start, trained[-1] if trained else teacher))
    return Course(trained)
