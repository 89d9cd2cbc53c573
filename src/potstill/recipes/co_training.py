"""Co-training: students of two views of the same rows label for each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, InitVar, field
from typing import Annotated

from annotated_types import Ge, Interval

from potstill.engine.step import Rows, Step
from potstill.errors import Problem
from potstill.models.edge import Model
from potstill.recipes.lessons import CLASSIFIERS, Train, Trainer, lesson, train_problems
from potstill.recipes.students import Course
from potstill.steps.filtering.confidence import KeepConfident
from potstill.steps.labelling.add_pseudo_labels import AddPseudoLabels
from potstill.steps.labelling.task_model import RunTaskModel
from potstill.steps.rows.columns import Rename, Select


class CoTraining(Course):
    """Train, for each round, a student of each view, and at the end one that reads the whole text.

    Blum and Mitchell 1998 ("Combining labeled and unlabeled data with co-training", table 1): two students learn from
    the labelled rows, each from its own view; each labels the unlabelled rows on which it is most confident,
    `per_class` of each class, for both; and again. A row that is easy in one view teaches the other what it looks like
    there.

    The proof takes two views that are each enough to tell the class, and independent given it. Web pages and the words
    of links to them come near; texts seldom do. Two columns (title and body) are each informative, but share a topic.
    `Halves` of one text share its phrases. Two different `students` on one column are no views at all: they only err
    differently (Goldman and Zhou 2000, "Enhancing supervised learning with unlabeled data"). The more
    the assumption is broken, the more each only confirms the other's mistakes.

    Differences from table 1: all unlabelled rows are candidates instead of a pool of 75; every round labels them again
    and takes `per_class` more, so that a label may be revised; a row that the two label differently is left out; and
    every class counts alike, where the paper takes 1 positive to 3 negative rows.

    >>> given = Halves(LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}]))
    >>> course = CoTraining(given, Halves(LoadRows([{"text": "fun for all"}])), student=encoder, rounds=2)
    >>> len(course), [pick.rows.column for pick in course.student.rows.rows.picks]
    (5, ['first', 'second'])
    """

    labelled: Rows
    """Rows with both views, the text and the label."""
    unlabelled: Rows
    """Rows with both views and the text."""
    _: KW_ONLY
    student: InitVar[Model] = field()
    """Where the last student starts, and those of the views; `.student` of the recipe is the last one."""
    views: tuple[str, str] = ("first", "second")
    """The columns with the two views; the same one twice needs two different `students`."""
    students: Sequence[Model] = ()
    """Where the students of the two views start instead."""
    rounds: Annotated[int, Ge(1)] = 3
    """How often the unlabelled rows are labelled."""
    per_class: Annotated[int, Ge(1)] = 1
    """Rows that each view adds of each class in the first round; n times as many in the n-th."""
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.0
    """Least probability of the label, from 0 to 1; 0 leaves the choice to `per_class`, as in the paper."""
    text: str = "text"
    """Column that the last student reads."""
    label: str = "label"
    """Column with the label."""
    train: Train | Trainer = CLASSIFIERS
    """How each is trained, on `text` and `label`: a `Classifier` with the parameters of all, or a `Train`."""

    def __post_init__(self, student: Model) -> None:
        """Build the students.

        Raises:
            BadInput: naming all that is wrong.
        """
        starts = tuple(self.students) or (student, student)
        self._build(self._rounds(student, starts), _view_problems(self.views, starts), train_problems(self.train))

    def _rounds(self, student: Model, starts: Sequence[Model]) -> Iterator[Step]:
        """Yield the students in order."""
        train, columns = lesson(self.train), tuple(dict.fromkeys((self.text, *self.views)))
        # without their labels, if they have any: those of a benchmark would leak into the training
        pool, data = Select(self.unlabelled, columns), self.labelled
        for number in range(1, self.rounds + 1):
            confident: list[Rows] = []
            for view, start in zip(self.views, starts, strict=True):
                model = train(self._seen(data, view), start, None)
                yield model
                tagged = RunTaskModel(pool, model, column=view)
                # counts grow with the rounds, as every round selects from all rows again instead of adding to a pool
                confident.append(KeepConfident(tagged, threshold=self.threshold, per_class=self.per_class * number))
            data = AddPseudoLabels(self.labelled, confident, keep=columns, label=self.label)
        yield train(Select(data, [self.text, self.label]), student, None)

    def _seen(self, rows: Rows, view: str) -> Rows:
        """Return the rows with one view as their text."""
        chosen = Select(rows, [view, self.label])
        return chosen if view == self.text else Rename(chosen, {view: self.text})


def _view_problems(views: Sequence[str], starts: Sequence[Model]) -> Iterator[Problem]:
    """Yield why there are no two views."""
    if len(starts) != 2:
        yield Problem("", "students", f"must be two models, one for each view, got {len(starts)}")
    if len(set(views)) == 1 and len(starts) == 2 and starts[0] is starts[1]:
        text = f"are the same column {views[0]!r} for the same student, so neither can teach the other anything"
        yield Problem("", "views", f"{text}: name two columns (Halves makes two), or give two students=")
