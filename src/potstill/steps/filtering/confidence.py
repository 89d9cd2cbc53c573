"""Keeping confident labels: the threshold of self-training, with a cap for each class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated

from annotated_types import Ge, Interval

from potstill.engine.rows.files import tables
from potstill.errors import BadInput, Problem
from potstill.labelling.class_shares import class_shares
from potstill.steps.filtering.filter import Objection, keep_rows
from potstill.steps.rows.base import RowsStep

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from numpy.typing import NDArray

    from potstill.engine.context import Context

BINS = 10
"""Equal parts of 0 to 1 in which confidences are counted."""


class KeepConfident(RowsStep):
    """Keeps the rows with a confidence of at least `threshold`, and at most `per_class` of each predicted class.

    Confidence is the largest of a row's `probabilities`, as `RunTaskModel` and `ClassifyWithTeacher` write them. A
    threshold alone prefers the classes that are easy already, and a student trained on its own confident answers leans
    to them more each round; `per_class` keeps the classes in balance. What went is counted by reason, and the manifest
    notes how many rows had which confidence.

    >>> rows = LoadRows([{"text": "what a joy", "probabilities": {"bad": 0.04, "good": 0.96}},
    ...                  {"text": "well", "probabilities": {"bad": 0.45, "good": 0.55}}])
    >>> show(Select(KeepConfident(rows, threshold=0.9), ["text"]))
    {'text': 'what a joy'}
    """

    _: KW_ONLY
    threshold: Annotated[float, Interval(ge=0, le=1)] = 0.9
    """Least confidence of a row that stays."""
    per_class: Annotated[int, Ge(1)] | None = None
    """Most rows that stay of each predicted class, the most confident first; None keeps all above the threshold."""
    column: str = "probabilities"
    """Where they are: a list, or a probability by class name."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column that is read."""
        return {"rows": (self.column,)}

    def run(self, rows: Dataset, context: Context) -> Dataset:
        """Return the rows that stay.

        Raises:
            BadInput: there are none to choose from, or none is confident enough.
        """
        import numpy as np

        if not len(rows):
            raise BadInput(
                Problem("", "rows", "there are no rows to choose from: give some that a classifier labelled")
            )
        sure, best = confidences(rows, self.column)
        counts = histogram(sure)
        context.notes["confidence"] = counts
        above = sure >= self.threshold
        if not above.any():
            distribution = ", ".join(f"{count} at {place}" for place, count in counts.items())
            text = f"no row has a confidence of {self.threshold:g}; the highest is {sure.max():.4f}"
            remedy = f"Of {len(sure)} rows, {distribution}: lower the threshold, or train the labeller longer"
            raise BadInput(Problem("", "threshold", f"{text}. {remedy}"))
        stays = above if self.per_class is None else surest(sure, best, above, self.per_class)
        context.notes["classes_kept"] = len(np.unique(best[stays]))
        return keep_rows(rows, context, self._objections(sure, above, stays))

    def _objections(
        self, sure: NDArray[np.float64], above: NDArray[np.bool_], stays: NDArray[np.bool_]
    ) -> Iterator[Objection | None]:
        """Yield why each row goes, or None."""
        for confidence, enough, stay in zip(sure.tolist(), above.tolist(), stays.tolist(), strict=True):
            if stay:
                yield None
            elif enough:
                yield Objection(f"not among the {self.per_class} most confident of its class", f"{confidence:.4f}")
            else:
                yield Objection(f"confidence below {self.threshold:g}", f"{confidence:.4f}")


def confidences(rows: Dataset, column: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return [N] the largest probability of each row, and [N] whose it is; 16 bytes a row are held in memory."""
    import numpy as np

    names = [column, *(["id"] if "id" in rows.column_names else [])]
    sure, best, done = [], [], 0
    for table in tables(rows.select_columns(names)):
        values = class_shares(table, column, done).values
        sure.append(values.max(axis=1))
        best.append(values.argmax(axis=1))
        done += len(values)
    return np.concatenate(sure), np.concatenate(best)


def surest(
    sure: NDArray[np.float64], best: NDArray[np.int64], above: NDArray[np.bool_], count: int
) -> NDArray[np.bool_]:
    """Return which of the rows `above` are the `count` most confident of their class; of equal ones the first."""
    import numpy as np

    stays = np.zeros(len(sure), bool)
    for label in np.unique(best[above]):
        # a stable sort of the negated values: of equal confidences the first rows stay
        places = np.flatnonzero(above & (best == label))
        stays[places[np.argsort(-sure[places], kind="stable")[:count]]] = True
    return stays


def histogram(sure: NDArray[np.float64]) -> dict[str, int]:
    """Return how many rows have which confidence, by tenths, without the empty ones."""
    import numpy as np

    # by whole tenths: edges that are multiples of 0.1 are not those numbers in binary
    tenths = np.minimum((sure * BINS + 1e-9).astype(int), BINS - 1)
    counts = np.bincount(tenths, minlength=BINS)
    return {f"{n / BINS:.1f} to {(n + 1) / BINS:.1f}": int(count) for n, count in enumerate(counts) if count}
