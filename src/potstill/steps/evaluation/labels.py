"""Evaluate the labels that rows hold, by a teacher, rules or people."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from potstill.engine.step import Rows, Step
from potstill.errors import BadInput, Problem
from potstill.metrics.answers import row_digest
from potstill.metrics.kept_rows import write
from potstill.publishing.trackers import send
from potstill.steps.evaluation.class_figures import class_figures
from potstill.steps.evaluation.class_rows import CLASS_COLUMNS, Answer, class_rows
from potstill.steps.evaluation.evaluation_sets import by_name, missing_sets

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context

UNLABELED = ""
"""What stands for the label of a row that has none: no class, and so wrong."""


class EvaluateLabels(Step):
    """Measure labels that rows hold against right ones, as `EvaluateClassifier` measures a model.

    A teacher that labelled the test texts (`ClassifyWithTeacher`) so stands in one table of the report with its
    students, and rows are paired with theirs: keep the right labels in another column before it labels. Where rows have
    `probabilities` by class, `brier` and `calibration_error` say whether these hold. A row without a label counts as
    wrong, and in `unlabeled`. Size and speed are not measured here.

    >>> rows = LoadRows([{"text": "so dull", "gold": "bad", "label": "bad"}, {"text": "a joy", "gold": "good"}])
    >>> show(EvaluateLabels(rows))
    {'sets': {'test': {'n': 2, 'accuracy': 0.5, 'accuracy_low': 0.0945, 'accuracy_high': 0.9055, 'macro_f1': 0.5, ...
    """

    rows: Rows | Mapping[str, Rows]
    """Labelled test rows; several sets by name, or one, which is then called `test`."""
    gold: str = "gold"
    """Column with the right label, a name or a number."""
    label: str = "label"
    """Column with the label that is measured."""
    text: str = "text"
    """Column with the text."""
    probabilities: str = "probabilities"
    """Column with the probability of each class by its name; rows need not have it."""
    worst: Annotated[int, Ge(0)] = 10
    """Classes with the lowest F1 that are listed, and as many of the pairs that are mixed up most."""

    version: ClassVar[int] = 2  # Matthews' coefficient
    makes: ClassVar[str] = "metrics"
    send_results = send

    def check(self) -> Iterable[Problem]:
        """Yield a problem if there is no test set, or labels would be measured against themselves."""
        yield from missing_sets(self.rows)
        if self.gold == self.label:
            message = f"the column {self.gold!r} would be measured against itself: keep the right labels in another"
            yield Problem("", "gold", message)

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns of a test set."""
        return {"rows": (self.text, self.gold, self.label)}

    def run(self, rows: Dataset | Mapping[str, Dataset], context: Context) -> dict[str, Any]:
        """Measure the labels of `rows`.

        Raises:
            BadInput: a set without rows, or a row without a text or a right label; all of them together.
        """
        sets = by_name(rows)
        self._refuse(sets)
        figures: dict[str, Any] = {}
        kept: list[Mapping[str, Any]] = []
        classes: set[str] = set()
        for name, test in sets.items():
            expected, answers = [str(label) for label in test[self.gold]], self._answers(test)
            labels = {str(answer.prediction) for answer in answers} - {UNLABELED}
            classes |= labels | set(expected)
            ids = [str(one) for one in (test["id"] if "id" in test.column_names else range(len(test)))]
            kept += class_rows(name, ids, test[self.text], expected, answers)
            figures[name] = {
                **class_figures(expected, answers, sorted(set(expected) - labels), self.worst),
                "unlabeled": sum(answer.prediction == UNLABELED for answer in answers),
                # as of a classifier that was asked the same texts, so that a report pairs the rows
                "row_digest": row_digest(zip(test[self.text], test[self.gold], strict=True)),
            }
            context.ledger.keep(len(test))
        write(context.out, CLASS_COLUMNS, kept)
        return {"sets": figures, "classes": len(classes), "engine": {"labels": self.label}}

    def _refuse(self, sets: Mapping[str, Dataset]) -> None:
        """Check that every set has rows, and each of these a text and a right label.

        Raises:
            BadInput: something is missing; all problems together.
        """
        problems = [f"the test set {name!r} has no rows: give at least one" for name in sets if not len(sets[name])]
        for name, test in sets.items():
            for number, (text, gold) in enumerate(zip(test[self.text], test[self.gold], strict=True)):
                if not isinstance(text, str) or gold is None:
                    problems.append(
                        f"row {number} of the test set {name!r}: it needs a text in {self.text!r} and a right label in "
                        f"{self.gold!r}, got {text!r:.60} and {gold!r:.60}"
                    )
        if problems:
            raise BadInput(*problems)

    def _answers(self, test: Dataset) -> list[Answer]:
        """Return the labels with their probabilities."""
        labels = [UNLABELED if label is None else str(label) for label in test[self.label]]
        every: Sequence[object] = [None] * len(labels)
        if self.probabilities in test.column_names:
            every = test[self.probabilities]
        return [Answer(label, _probability(one, label)) for label, one in zip(labels, every, strict=True)]


def _probability(probabilities: object, label: str) -> float:
    """Return the probability of a label; NaN where it is unknown, and 0 for a missing label, which claims nothing."""
    if label == UNLABELED:
        return 0.0
    value = probabilities.get(label) if isinstance(probabilities, Mapping) else None
    return float(value) if isinstance(value, int | float) else math.nan
