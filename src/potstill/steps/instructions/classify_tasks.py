"""Detect classification tasks (Wang et al. 2023, "Self-Instruct", section 2.2, step 2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from potstill.data import self_instruct
from potstill.engine.step import Estimate, Rows
from potstill.prompts import Template, rendered
from potstill.steps.generation.base import AskingStep
from potstill.steps.rows.added import added
from potstill.teachers.cache.parse_retry import Question, Tries, asked, row_name, upper_bound
from potstill.teachers.protocol import Sampling
from potstill.text.choice import ChoiceReader

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource

ANSWER = ChoiceReader(("yes", "no", "true", "false"))
"""Reads the answers."""


class DetectClassification(AskingStep):
    """Adds `is_classification`: whether the teacher takes the instruction for one with a few labels as answers.

    >>> rows = LoadRows([{"instruction": "Is the review positive or negative?"}])
    >>> tasks = DetectClassification(rows, teacher=teacher, max_failed=1)
    >>> sorted(tasks.columns({"rows": frozenset({"instruction"})}))
    ['instruction', 'is_classification']
    """

    version: ClassVar[int] = 3  # an answer that speaks of itself is no choice

    rows: Rows
    """Instructions (column `instruction`)."""
    _: KW_ONLY
    prompt: Template = "is_classification.jinja"
    """Gets the row and `examples`; the answer starts with Yes or No."""
    examples: Rows | None = None
    """Tasks with `is_classification` that are shown; None shows Potstill's own 31, of which 12 are classifications,
    as many as in the paper (appendix A)."""
    max_tokens: Annotated[int, Ge(1)] = 8
    """Longest answer; what follows the first word is not read (the paper's code takes 3 tokens)."""
    max_tries: Annotated[int, Ge(1)] = 3
    """Times an answer that is neither is asked for again, the first one (greedy) included."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are read."""
        return {"rows": ("instruction",), "examples": ("instruction", "is_classification")}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already.
        """
        rows = inputs.get("rows")
        return added(self, rows, ("is_classification",), given=("examples",))

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count one call a row."""
        return upper_bound(rows.get("rows"), 1, self.max_tokens)

    def run(
        self, rows: Dataset, teacher: TeacherSource, context: Context, examples: Dataset | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows in order."""
        shown = self_instruct.examples("classification.jsonl") if examples is None else tuple(examples)
        # a cut answer counts: only its first word is read
        tries = Tries(Sampling(max_tokens=self.max_tokens), self.max_tries, self.seed, keep_cut=True)
        questions = (
            Question(row, row_name(row, number), (rendered(self.prompt, {**row, "examples": shown}),))
            for number, row in enumerate(rows)
        )
        for row, (answer,) in asked(teacher, questions, yes_or_no, tries, context, len(rows)):
            context.ledger.keep()
            yield {**row, "is_classification": answer.value}


def yes_or_no(text: str) -> bool:
    """Return whether an answer says yes.

    >>> yes_or_no("**Yes**, it is.")
    True

    Raises:
        ValueError: it says neither.
    """
    return ANSWER.read(text) in ("yes", "true")
