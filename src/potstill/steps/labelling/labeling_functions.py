"""Weak supervision: labeling functions combined by a label model of their accuracies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Interval

from potstill.engine.rows.copies import copied
from potstill.engine.step import Estimate, Rows, Step
from potstill.errors import BadInput, Problem
from potstill.steps.rows.added import added

if TYPE_CHECKING:
    from pathlib import Path

    from datasets import Dataset
    from numpy.typing import NDArray

    from potstill.engine.context import Context

ENOUGH = 3
"""Fewest labellers whose accuracies can be estimated from their votes."""


class LabelingFunctions(Step):
    """Labels rows by rules and heuristics, each a function row -> label, or None to abstain.

    Data programming (Ratner et al. 2016, arXiv 1605.07723): many cheap rules that overlap and conflict, combined by a
    model that learns from their agreement alone how often each is right. New columns: `label`, `confidence` (its
    probability), `votes` (what each function said). A row on which none votes is filtered. Each function's coverage,
    overlap, conflict and estimated accuracy are in the step's notes.

    >>> def refund(row):
    ...     return "complaint" if "refund" in row["text"] else None
    >>> def polite(row):
    ...     return "praise" if "thank" in row["text"] else None
    >>> def loud(row):
    ...     return "complaint" if row["text"].endswith("!") else None
    >>> rows = LoadRows([{"text": "I want a refund!"}, {"text": "thank you"}, {"text": "hello"}])
    >>> show(LabelingFunctions(rows, functions=[refund, polite, loud], model="majority"))
    {'text': 'I want a refund!', 'label': 'complaint', 'confidence': 1.0, 'votes': ['complaint', None, 'complaint']}
    {'text': 'thank you', 'label': 'praise', 'confidence': 1.0, 'votes': [None, 'praise', None]}
    """

    rows: Rows
    """What is to be labelled."""
    _: KW_ONLY
    functions: Sequence[Callable[[Mapping[str, Any]], Any]]
    """The rules; their code is part of the key. A row on which one raises is lost."""
    classes: tuple[str, ...] | tuple[int, ...] = ()
    """The labels; empty takes those that the functions give. Any other label is an error."""
    model: Literal["majority", "one_coin", "dawid_skene"] = "one_coin"
    """`one_coin` learns one accuracy a function (Zhang et al. 2016, arXiv 1406.3824); `dawid_skene` a
    whole confusion matrix (Dawid and Skene 1979), which takes many more votes; `majority` learns nothing. Both learn
    from agreement, so they need three functions or more that make their errors independently."""
    min_confidence: Annotated[float, Interval(ge=0, le=1)] = 0.0
    """Rows whose label is less probable are filtered."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.01
    """Share of the rows on which a function may raise."""

    makes: ClassVar[str] = "rows"

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the number of functions."""
        if not self.functions:
            yield Problem("", "functions", "names no function: give at least one")
        elif self.model != "majority" and len(self.functions) < ENOUGH:
            yield Problem(
                "",
                "model",
                f"{self.model!r} learns accuracies from the agreement of at least {ENOUGH} functions, got "
                f"{len(self.functions)}: give more, or take model='majority'",
            )

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already.
        """
        rows = inputs.get("rows")
        return added(self, rows, ("label", "confidence", "votes"))

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume that each row gets a label."""
        return Estimate(rows=rows.get("rows"))

    def run(self, rows: Dataset, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the labelled rows.

        Raises:
            BadInput: a function gives a label that is none of the classes, or none gives any.
        """
        import numpy as np

        path = context.work / "votes"
        classes = self._vote(rows, path, context)
        # votes on disk: the label model sees distinct patterns only, and rows are labelled in a second pass
        votes = np.memmap(path, np.int32, mode="r").reshape(-1, 1 + len(self.functions))
        patterns, counts = np.unique(votes[:, 1:], axis=0, return_counts=True)
        order = sorted(range(len(classes)), key=lambda number: repr(classes[number]))
        shares = self._learn(patterns.astype(np.int64), counts.astype(np.float64), classes, context)
        posteriors = {pattern.tobytes(): share for pattern, share in zip(patterns, shares, strict=True)}
        for number, *cast in votes:
            row = rows[int(number)]
            if max(cast) < 0:
                context.ledger.lose(str(row.get("id", number)), "filtered", "no function votes")
                continue
            share = posteriors[np.array(cast, np.int32).tobytes()]
            # of equal ones the first in the order of the labels, which doesn't depend on that of the rows
            best = max(order, key=lambda label: round(float(share[label]), 12))
            if share[best] < self.min_confidence:
                context.ledger.lose(str(row.get("id", number)), "filtered", "confidence below min_confidence")
                continue
            context.ledger.keep()
            row_votes = [None if vote < 0 else classes[vote] for vote in cast]
            yield {**row, "label": classes[best], "confidence": float(share[best]), "votes": row_votes}

    def _vote(self, rows: Dataset, path: Path, context: Context) -> list[Any]:
        """Write the number of each row and its votes to `path`; return the classes, which the votes are numbers of."""
        import numpy as np

        numbers = {label: number for number, label in enumerate(self.classes)}
        names = names_of(self.functions)
        with path.open("wb") as file:
            for number, row in enumerate(rows):
                try:
                    labels = [function(copied(row)) for function in self.functions]
                except Exception as error:  # noqa: BLE001 - one bad row must not take its siblings with it
                    reason = f"a function raised {type(error).__name__}"
                    context.ledger.lose(str(row.get("id", number)), "retryable", reason, str(error))
                    continue
                for name, label in zip(names, labels, strict=True):
                    self._check_label(name, label, numbers)
                cast = [-1 if label is None else numbers.setdefault(label, len(numbers)) for label in labels]
                file.write(np.array([number, *cast], np.int32).tobytes())
        if path.stat().st_size == 0 or not numbers:
            raise BadInput(Problem("", "functions", f"none of {', '.join(names)} gives any row a label"))
        return list(numbers)

    def _check_label(self, name: str, label: object, class_numbers: Mapping[Any, int]) -> None:
        """Refuse what is no label, or none of the given classes."""
        if label is None:
            return
        if isinstance(label, bool) or not isinstance(label, (str, int)):
            raise BadInput(
                Problem("", "functions", f"{name} returned {label!r}: a label is a text or a whole number, or None")
            )
        if self.classes and label not in class_numbers:
            raise BadInput(
                Problem("", "functions", f"{name} returned {label!r}, which is none of the classes {self.classes}")
            )

    def _learn(
        self, patterns: NDArray[Any], counts: NDArray[Any], classes: list[Any], context: Context
    ) -> NDArray[Any]:
        """Return the probability [P, C] of each class for each pattern of votes; note what was learned."""
        from potstill.labelling import label_model

        names = names_of(self.functions)
        how = label_model.habits(patterns, counts)
        notes = {
            name: {"coverage": float(c), "overlap": float(o), "conflict": float(x)}
            for name, c, o, x in zip(names, how.coverage, how.overlap, how.conflict, strict=True)
        }
        context.notes["functions"] = notes
        if self.model == "majority":
            return label_model.majority_posterior(patterns, len(classes))
        model = label_model.fit(patterns, counts, len(classes), self.model)
        for name, accuracy in zip(names, model.accuracies, strict=True):
            notes[name]["accuracy"] = round(float(accuracy), 6)
        context.notes["prior"] = {str(label): round(float(p), 6) for label, p in zip(classes, model.prior, strict=True)}
        worse = [name for name, a in zip(names, model.accuracies, strict=True) if a < 1 / max(2, len(classes))]
        if worse:
            text = f"{', '.join(worse)} seem worse than chance: look at them, or leave them out"
            context.notes.setdefault("warnings", []).append(text)
            context.logger.warning(text)
        return model.posterior(patterns)


def names_of(functions: Sequence[Callable[..., Any]]) -> list[str]:
    """Return a name for each function; of those called alike (lambdas) the later ones are numbered."""
    seen: Counter[str] = Counter()
    names = []
    for function in functions:
        name = getattr(function, "__name__", type(function).__name__)
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return names
