"""Chosen and rejected pairs from judged or scored rows, for preference training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, MinLen

from potstill.engine.step import Rows, Step
from potstill.errors import BadInput, Problem

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context

MADE = frozenset({"chosen", "rejected"})


class PairsFromVerdicts(Step):
    """Turns rows of `JudgePairsWithPrompt` into pairs, `chosen` and `rejected` by the `verdict`; ties are lost.

    >>> judged = LoadRows([
    ...     {"instruction": "Name a colour.", "a": "Blue.", "b": "The sea.", "verdict": "first"},
    ...     {"instruction": "Name a town.", "a": "Rome.", "b": "Bonn.", "verdict": "tie"},
    ... ])
    >>> show(PairsFromVerdicts(judged, first="a", second="b"))
    {'instruction': 'Name a colour.', 'chosen': 'Blue.', 'rejected': 'The sea.'}
    """

    rows: Rows
    """Rows with both texts and a verdict."""
    _: KW_ONLY
    first: Annotated[str, MinLen(1)]
    """Column of the one text, as it was judged."""
    second: Annotated[str, MinLen(1)]
    """Column of the other."""
    verdict: Annotated[str, MinLen(1)] = "verdict"
    """Column that says `first`, `second` or `tie`."""

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the columns."""
        if self.first == self.second:
            yield Problem(
                "", "second", f"names the same column as first, {self.first!r}: name the two that were judged"
            )

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return both texts and the verdict."""
        return {"rows": (self.first, self.second, self.verdict)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows without what was judged, and the pair's."""
        rows = inputs.get("rows")
        return None if rows is None else (rows - self._judged()) | MADE

    def run(self, rows: Dataset, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the pairs, in order.

        Raises:
            BadInput: a verdict is none of the three.
        """
        for number, row in enumerate(rows):
            verdict = row[self.verdict]
            if verdict not in ("first", "second", "tie"):
                raise BadInput(
                    Problem("", "verdict", f"row {number} says {verdict!r} in {self.verdict}: first, second or tie")
                )
            if verdict == "tie":
                context.ledger.lose(str(row.get("id", number)), "filtered", "tie")
                continue
            context.ledger.keep()
            better, worse = (self.first, self.second) if verdict == "first" else (self.second, self.first)
            rest = {name: value for name, value in row.items() if name not in self._judged()}
            yield {**rest, "chosen": row[better], "rejected": row[worse]}

    def _judged(self) -> frozenset[str]:
        """Return the columns that a pair replaces, and what `JudgePairsWithPrompt` adds."""
        return frozenset({self.first, self.second, self.verdict, "agreed"})


class PairsFromScores(Step):
    """Makes one pair of each group of rows: the answer with the best score is chosen, that with the worst rejected.

    For rows of `RankWithPrompt`, or of any step that grades, where several answer the same prompt. The pair is the row
    of the chosen answer, with `margin`, the difference of the scores. Of equal scores the first row counts.

    >>> graded = LoadRows([
    ...     {"id": "1", "instruction": "Name a colour.", "output": "Blue.", "score": 9},
    ...     {"id": "2", "instruction": "Name a colour.", "output": "The sea.", "score": 2},
    ...     {"id": "3", "instruction": "Name a town.", "output": "Rome.", "score": 8},
    ... ])
    >>> show(PairsFromScores(graded))
    {'id': '1', 'instruction': 'Name a colour.', 'chosen': 'Blue.', 'rejected': 'The sea.', 'margin': 7.0}
    """

    rows: Rows
    """Graded answers; those of one group need not follow one another."""
    _: KW_ONLY
    group: tuple[str, ...] = ("instruction",)
    """Columns that are alike in answers to the same prompt."""
    output: Annotated[str, MinLen(1)] = "output"
    """Column of the answers."""
    score: Annotated[str, MinLen(1)] = "score"
    """Column of the scores; a higher one is better."""
    margin: Annotated[float, Ge(0)] = 0.0
    """Difference of the scores that a pair must exceed: a judge that hardly sees one teaches its own noise."""

    def check(self) -> Iterator[Problem]:
        """Yield what is wrong with the columns."""
        if not self.group:
            yield Problem("", "group", "is empty: name the columns that answers to the same prompt share")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the prompt's columns, the answer and its score."""
        return {"rows": (*self.group, self.output, self.score)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows without what was graded, and the pair's."""
        rows = inputs.get("rows")
        return None if rows is None else (rows - {self.output, self.score}) | MADE | {"margin"}

    def run(self, rows: Dataset, context: Context) -> Iterator[dict[str, Any]]:
        """Yield a pair of each group, in the order of the groups' first rows.

        Raises:
            BadInput: a score is no number.
        """
        groups: dict[tuple[Any, ...], list[int]] = {}
        scores = [self._score(value, number) for number, value in enumerate(rows[self.score])]
        for number, values in enumerate(zip(*(rows[name] for name in self.group), strict=True)):
            groups.setdefault(values, []).append(number)
        for numbers in groups.values():
            best = max(numbers, key=lambda number: scores[number])
            worst = min(numbers, key=lambda number: scores[number])
            apart = scores[best] - scores[worst]
            if apart <= self.margin:
                reason = "no second answer" if len(numbers) == 1 else f"scores not more than {self.margin:g} apart"
                context.ledger.lose(str(rows[best].get("id", best)), "filtered", reason)
                continue
            context.ledger.keep()
            row = rows[best]
            rest = {name: value for name, value in row.items() if name not in (self.output, self.score)}
            yield {**rest, "chosen": row[self.output], "rejected": rows[worst][self.output], "margin": apart}

    def _score(self, value: object, number: int) -> float:
        """Return a score.

        Raises:
            BadInput: it is no number.
        """
        # a bool is an int in Python
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise BadInput(Problem("", "score", f"row {number} has {value!r} in {self.score}: grade it, or drop it"))
        return float(value)
