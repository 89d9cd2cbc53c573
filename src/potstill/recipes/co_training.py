"""Co-training: two views of the same rows label for each other."""

from __future__ import annotations

from collections.abc import Sequence

from potstill.engine.step import Model, Rows, Step
from potstill.errors import BadInput, Problem
from potstill.recipes.lessons import CLASSIFIERS, Train, at_least_one
from potstill.recipes.students import Course
from potstill.steps.filtering.confidence import KeepConfident
from potstill.steps.labelling.add_pseudo_labels import AddPseudoLabels
from potstill.steps.labelling.task_model import RunTaskModel
from potstill.steps.rows.columns import Rename, Select


def CoTraining(  # noqa: N802 - stands among steps in a pipeline
    labelled: Rows,
    unlabelled: Rows,
    *,
    student: Model,
    views: tuple[str, str] = ("first", "second"),
    students: Sequence[Model] = (),
    rounds: int = 3,
    per_class: int = 1,
    threshold: float = 0.0,
    text: str = "text",
    label: str = "label",
    train: Train = CLASSIFIERS,
) -> Course:
    """Return, for each round, a student of each view, and at the end one that reads the whole text.

    Blum and Mitchell 1998 ("Combining labeled and unlabeled data with co-training", table 1): two students learn from
    the labelled rows, each from its own view; each labels the unlabelled rows of which it is surest, `per_class` of
    each class, for both; and again. A row that is easy in one view teaches the other what it looks like there.

    The proof takes two views that are each enough to tell the class, and independent given it. Web pages and the words
    of links to them come near; texts seldom do. Two columns (title and body) are each informative, but share a topic.
    `Halves` of one text share its phrases. Two different `students` on one column are no views at all: what is left is
    that they err differently (Goldman and Zhou 2000, "Enhancing supervised learning with unlabeled data"). The more
    the assumption is broken, the more each only confirms the other's mistakes.

    Differences from table 1: all unlabelled rows are candidates instead of a pool of 75; every round labels them anew
    and takes `per_class` more, so that a label may be revised; a row that the two label differently is left out; and
    every class counts alike, where the paper takes 1 positive to 3 negative rows.

    Args:
        labelled: rows with both views, the text and the label.
        unlabelled: rows with both views and the text.
        student: where the last student starts, and those of the views.
        views: the columns with the two views; the same one twice needs two different `students`.
        students: where the students of the two views start instead.
        rounds: how often the unlabelled rows are labelled.
        per_class: rows that each view adds of each class in the first round; n times as many in the n-th.
        threshold: least probability of the label, from 0 to 1; 0 leaves the choice to `per_class`, as in the paper.
        text: column that the last student reads.
        label: column with the label.
        train: makes each training step, from rows with `text` and `label`; `TrainClassifier(like=...)` sets parameters.

    Raises:
        BadInput: there is not one round, or the two views are the same.

    >>> given = Halves(LoadRows([{"text": "what a joy", "label": "good"}, {"text": "so dull", "label": "bad"}]))
    >>> course = CoTraining(given, Halves(LoadRows([{"text": "fun for all"}])), student=encoder, rounds=2)
    >>> len(course), [pick.rows.column for pick in course.student.rows.rows.picks]
    (5, ['first', 'second'])
    """
    at_least_one(rounds)
    starts = tuple(students) or (student, student)
    _check(views, starts, per_class)
    columns = tuple(dict.fromkeys((text, *views)))
    pool, data, trained = Select(unlabelled, columns), labelled, list[Step]()
    for number in range(1, rounds + 1):
        pair = [train(_seen(data, view, text, label), start, None) for view, start in zip(views, starts, strict=True)]
        tagged = [RunTaskModel(pool, model, column=view) for view, model in zip(views, pair, strict=True)]
        sure: list[Rows] = [KeepConfident(rows, threshold=threshold, per_class=per_class * number) for rows in tagged]
        data = AddPseudoLabels(labelled, sure, keep=columns, label=label)
        trained += pair
    return Course([*trained, train(Select(data, [text, label]), student, None)])


def _check(views: Sequence[str], starts: Sequence[Model], per_class: int) -> None:
    """Check that there are two views.

    Raises:
        BadInput: there are not, or nothing is taken of each class; all problems together.
    """
    wrong = []
    if len(views) != 2:
        wrong.append(Problem("", "views", f"must be two columns, got {views!r:.80}"))
    if len(starts) != 2:
        wrong.append(Problem("", "students", f"must be two models, one for each view, got {len(starts)}"))
    if len(set(views)) == 1 and len(starts) == 2 and starts[0] is starts[1]:
        text = f"are the same column {views[0]!r} for the same student, so neither has anything to tell the other"
        wrong.append(Problem("", "views", f"{text}: name two columns (Halves makes two), or give two students="))
    if per_class < 1:
        wrong.append(Problem("", "per_class", f"must be >= 1, got {per_class}"))
    if wrong:
        raise BadInput(*wrong)


def _seen(rows: Rows, view: str, text: str, label: str) -> Rows:
    """Return the rows with one view as their text."""
    chosen = Select(rows, [view, label])
    return chosen if view == text else Rename(chosen, {view: text})
