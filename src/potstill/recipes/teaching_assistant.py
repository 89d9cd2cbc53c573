"""Teaching assistants: a large teacher is distilled to a small student through sizes in between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY

from potstill.engine.step import Rows, Step
from potstill.models.edge import Model
from potstill.recipes.lessons import CLASSIFIERS, Train, Trainer, lesson, no_list, train_problems
from potstill.recipes.students import Course


class TeachingAssistant(Course):
    """Train students, each of which learns from the one before it, and the first from the teacher.

    Mirzadeh et al. 2019 ("Improved Knowledge Distillation via Teacher Assistant", arXiv 1902.03393, section 3): where
    the gap to the teacher is too large for a student, one of middle size learns first and teaches it; several in a row
    shorten the steps further. One student alone is plain distillation, with which a chain should be compared.

    >>> rows = LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}])
    >>> chain = TeachingAssistant(rows, teacher="large", students=["middle", "small"])
    >>> chain[0].rows.model, chain[1].rows.model is chain[0], chain.student.student
    ('large', True, 'small')
    """

    rows: Rows
    """What all learn from."""
    _: KW_ONLY
    teacher: Model
    """A trained model; for a `Classifier` one with the classes of the rows."""
    students: Sequence[Model]
    """Where each starts, the largest first, such as `KeepLayers` of the teacher."""
    train: Train | Trainer = CLASSIFIERS
    """How each is trained: a `Classifier`, `HardLabel` or `SoftLabel` with the parameters of all, or a `Train`."""

    def __post_init__(self) -> None:
        """Build the students.

        Raises:
            BadInput: naming all that is wrong.
        """
        self._build(self._chain(), no_list(self.students, "students"), train_problems(self.train))

    def _chain(self) -> Iterator[Step]:
        """Yield the students in order."""
        train, last = lesson(self.train), self.teacher
        for start in self.students:
            last = train(self.rows, start, last)
            yield last
