"""Born-again networks: a student of its teacher's size becomes the teacher of the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, InitVar, field
from typing import Annotated

from annotated_types import Ge

from potstill.engine.step import Rows, Step
from potstill.models.edge import Model
from potstill.recipes.lessons import CLASSIFIERS, Train, Trainer, lesson, reseeded, train_problems
from potstill.recipes.students import Course


class BornAgain(Course):
    """Train students of one size, each of which learns from the one before it, and first the teacher of the first.

    Furlanello et al. 2018 ("Born Again Neural Networks", arXiv 1805.04770, section 3): every generation has the same
    size, starts again from another seed, and learns the labels together with the distribution of its predecessor.
    Here each starts from `student` as it is, so a pretrained one starts from its pretraining and a new head.

    >>> rows = LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}])
    >>> born = BornAgain(rows, student=encoder, rounds=2, train=Classifier(rows, student=encoder))
    >>> [step.seed for step in born], born[2].rows.model is born[1]
    ([0, 1, 2], True)
    """

    rows: Rows
    """What all generations learn from."""
    _: KW_ONLY
    student: InitVar[Model] = field()
    """Where every generation starts; `.student` of the recipe is the last generation."""
    rounds: Annotated[int, Ge(1)] = 3
    """Generations that have a teacher."""
    teacher: Model | None = None
    """Teacher of the first; None trains one on the labels alone, which then comes first in the course."""
    train: Train | Trainer = CLASSIFIERS
    """How each is trained: a `Classifier`, `HardLabel` or `SoftLabel` with the parameters of all, or a `Train`."""

    def __post_init__(self, student: Model) -> None:
        """Build the students.

        Raises:
            BadInput: naming all that is wrong.
        """
        self._build(self._generations(student), train_problems(self.train))

    def _generations(self, student: Model) -> Iterator[Step]:
        """Yield the students in order."""
        train, last = lesson(self.train), self.teacher
        if last is None:
            last = train(self.rows, student, None)
            yield last
        for number in range(1, self.rounds + 1):
            # another seed each, as in the paper: new weights and the order of rows differ
            last = reseeded(train(self.rows, student, last), number)
            yield last
