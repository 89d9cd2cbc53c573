"""One answer per input by majority vote (Wang et al. 2023, "Self-consistency", section 2).

Viswanathan et al. 2023, "Prompt2Model", filter generated examples by it; ties go to the shortest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval

from potstill.engine.step import Estimate, Rows, Step
from potstill.errors import PotstillError, Problem
from potstill.steps.rows.added import added
from potstill.teachers.cache.parse_retry import row_name

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context


@dataclass
class _Votes:
    """What was answered to one input."""

    first: int
    """Number of the first row with it."""
    answers: Counter[str] = field(default_factory=Counter)


class Consensus(Step):
    """Keeps one row an input: the first, with the output that most of its rows have; ties go to the shortest.

    >>> rows = LoadRows([{"input": "2 + 2", "output": text} for text in ("4", "four", "4", "5")])
    >>> show(Consensus(rows))
    {'input': '2 + 2', 'output': '4', 'votes': 2, 'samples': 4}
    """

    rows: Rows
    """Several rows an input."""
    _: KW_ONLY
    by: tuple[str, ...] = ("input",)
    """Columns that make up the input."""
    column: str = "output"
    """Where the answer is."""
    min_share: Annotated[float, Interval(ge=0, le=1)] = 0.0
    """Share of the votes that the winner must have; inputs without such a one are dropped."""
    min_samples: Annotated[int, Ge(1)] = 1
    """Rows that an input must have."""

    makes: ClassVar[str] = "rows"

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong between the columns."""
        if not self.by:
            yield Problem("", "by", "names no column: give at least one")
        if self.column in self.by:
            yield Problem("", "column", f"{self.column!r} can't be both the answer and part of the input by={self.by}")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are read."""
        return {"rows": (*self.by, self.column)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already.
        """
        rows = inputs.get("rows")
        return added(self, rows, ("votes", "samples"))

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Give the upper bound."""
        return Estimate(rows=rows.get("rows"))

    def run(self, rows: Dataset, context: Context) -> Iterator[dict[str, Any]]:
        """Yield a row an input, in the order of the first ones; the different answers are held in memory.

        Raises:
            PotstillError: no input has a winner.
        """
        inputs: dict[tuple[Any, ...], _Votes] = {}
        for number, row in enumerate(rows.select_columns([*self.by, self.column])):
            votes = inputs.setdefault(tuple(row[name] for name in self.by), _Votes(number))
            votes.answers[row[self.column]] += 1
        for votes in inputs.values():
            row = rows[votes.first]
            output, count = winner(votes.answers)
            samples = votes.answers.total()
            reason = self._objection(count, samples)
            if reason:
                context.ledger.lose(row_name(row, votes.first), "filtered", reason, f"{count} of {samples}: {output!r}")
                continue
            context.ledger.keep()
            yield {**row, self.column: output, "votes": count, "samples": samples}
        if inputs and not context.ledger.kept:
            raise PotstillError(f"no input of {len(inputs)} is left: {context.ledger.counts()['filtered']}")

    def _objection(self, count: int, samples: int) -> str:
        """Return why an input is dropped, or an empty string."""
        if samples < self.min_samples:
            return f"fewer than {self.min_samples} samples"
        return f"no answer has {self.min_share:g} of the votes" if count < self.min_share * samples else ""


def winner(answers: Counter[str]) -> tuple[str, int]:
    """Return the most frequent answer and its votes: of several the shortest, and of those the first.

    >>> winner(Counter(["four", "4", "4", "four", "5"]))
    ('4', 2)
    """
    # `min` takes the first of equal keys, and a Counter keeps the order of arrival
    best = min(answers, key=lambda answer: (-answers[answer], len(answer)))
    return best, answers[best]
