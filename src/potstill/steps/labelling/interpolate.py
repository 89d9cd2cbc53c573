"""Interpolate between a teacher's outputs and the references, for sequence-level distillation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Interval

from potstill.engine.step import Estimate, Rows, Step
from potstill.errors import BadInput, Problem
from potstill.metrics.translation import missing_sacrebleu, sentence_bleu
from potstill.teachers.cache.response_cache import request_seed

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context


class Interpolate(Step):
    """Moves what a teacher decoded towards the rows' own `reference`: by the choice of hypotheses, or of rows.

    With `nearest`, `output` becomes the one of the `hypotheses` that is most like the reference, by smoothed
    sentence-level BLEU: sequence-level interpolation (Kim and Rush 2016, arXiv 1606.07947, section 3.3). With `gold`,
    that share of the rows, chosen by chance, gets the reference itself.

    >>> rows = LoadRows([{"reference": "a red house", "output": "a cat",
    ...                   "hypotheses": [{"output": "a cat"}, {"output": "a red home"}]}])
    >>> show(Select(Interpolate(rows, nearest=True), ["output"]))
    {'output': 'a red home'}
    """

    rows: Rows
    """Rows of `Decode`; with `nearest`, decoded with keep=, so that there is a choice."""
    _: KW_ONLY
    nearest: bool = False
    """Whether the hypothesis nearest to the reference becomes the output."""
    gold: Annotated[float, Interval(ge=0, le=1)] = 0.0
    """Share of the rows whose output becomes the reference."""
    seed: int = 0
    """Of the choice of rows."""

    makes: ClassVar[str] = "rows"

    def check(self) -> Iterable[Problem]:
        """Yield a problem if there is nothing to do, or no package to do it with."""
        if not self.nearest and not self.gold:
            yield Problem("", "gold", "is 0 without nearest=True, which leaves the rows as they are: give one of them")
        missing = missing_sacrebleu("sequence-level interpolation") if self.nearest else None
        if missing is not None:
            yield Problem("", "nearest", str(missing))

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are read."""
        return {"rows": ("output", "reference", *(("hypotheses",) if self.nearest else ()))}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows."""
        rows = inputs.get("rows")
        return None if rows is None else rows - {"hypotheses"}

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count the rows: all stay."""
        return Estimate(rows=rows.get("rows"))

    def run(self, rows: Dataset, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows; the notes say how many changed."""
        changed = 0
        for number, row in enumerate(rows):
            new_row = {name: value for name, value in row.items() if name != "hypotheses"}
            reference = row["reference"]
            if not isinstance(reference, str) or not reference.strip():
                raise BadInput(f"row {row.get('id', number)!r} has no reference, got {reference!r}")
            if self.nearest:
                new_row |= nearest(row["hypotheses"], reference)
            # seeds are 31 bits, drawn from a hash: a row's choice doesn't depend on the other rows
            if request_seed(self.seed, number, reference) < self.gold * 2**31:
                new_row |= {"output": reference} | ({"finish_reason": "stop"} if "finish_reason" in new_row else {})
            changed += new_row["output"] != row["output"]
            yield new_row
        context.notes["changed"] = changed


def nearest(hypotheses: Sequence[Mapping[str, Any]], reference: str) -> Mapping[str, Any]:
    """Return the hypothesis most like the reference; of equals the first, which the teacher finds best."""
    whole = [hypothesis for hypothesis in hypotheses if hypothesis.get("finish_reason", "stop") == "stop"] or hypotheses
    return max(whole, key=lambda hypothesis: sentence_bleu(hypothesis["output"], reference))
