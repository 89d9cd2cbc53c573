"""Instruction backtranslation (Li et al. 2023, "Self-Alignment with Instruction Backtranslation")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Interval

from potstill.engine.step import Estimate, Rows
from potstill.errors import PotstillError
from potstill.prompts import Template, rendered
from potstill.steps.generation.base import AskingStep
from potstill.steps.instructions.evol_rules import read_evolved
from potstill.steps.rows.added import added
from potstill.teachers.cache.parse_retry import Question, Tries, asked, row_name
from potstill.teachers.cache.response_cache import Asker, as_teacher
from potstill.teachers.protocol import Sampling
from potstill.text.reasoning import after_thoughts

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource

TOGETHER = 1024
"""Texts that are worked on side by side; bounds the memory."""
SCORE = re.compile(r"(?:score|rating)\W{0,5}([1-5])\b(?!\s*(?:to|-)\s*[1-5])", re.IGNORECASE)
"""Where an answer says its score."""


class Backtranslate(AskingStep):
    """Writes for each text the instruction that it answers, then rates the pair and keeps the good ones.

    The two halves are self-augmentation (section 2.2) and self-curation (section 2.3); a second round with the student
    that was trained on the first is a second step, with that student as the teacher.

        >>> rows = LoadRows([{"id": "a", "text": "Cut the stems at an angle and change the water every other day."}])
        >>> pairs = Backtranslate(rows, teacher=teacher, min_score=4)
        >>> sorted(pairs.columns({"rows": frozenset({"id", "text"})}))
        ['id', 'instruction', 'output', 'score', 'text']
    """

    rows: Rows
    """Texts that people wrote."""
    _: KW_ONLY
    column: str = "text"
    """Where the text is; it becomes `output` too."""
    prompt: Template = "backtranslate.jinja"
    """Gets the row and its `text`."""
    curate: Template = "curate.jinja"
    """Gets the row with `instruction` and `output`; the answer says `Score:` and a number from 1 to 5."""
    min_score: Annotated[int, Interval(ge=0, le=5)] = 4
    """Least score that is kept (section 3.1 compares 4 with 5); 0 rates nothing and keeps all."""
    temperature: Annotated[float, Ge(0)] = 0.7
    """Of the instructions; rating is greedy (section 3.1)."""
    top_p: Annotated[float, Interval(gt=0, le=1)] = 0.9
    """Nucleus mass (section 3.1)."""
    max_tokens: Annotated[int, Ge(1)] = 512
    """Longest instruction, and longest rating."""
    max_tries: Annotated[int, Ge(1)] = 3
    """Times an answer that is cut or has no score is asked for."""

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column of the texts."""
        return {"rows": (self.column,)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already.
        """
        rows = inputs.get("rows")
        new = {"instruction", "output", *(["score"] if self.min_score else [])} - {self.column}
        return added(self, rows, new, given={"text"} - {self.column})

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count two calls a row with a rating, and assume that all pairs are good."""
        count = rows.get("rows")
        if count is None:
            return Estimate()
        calls = count * (2 if self.min_score else 1)
        return Estimate(count, calls, 2 * calls * self.max_tokens)

    def run(self, rows: Dataset, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the pairs that are good enough.

        Raises:
            PotstillError: none is.
        """
        tries = Tries(Sampling(self.temperature, self.top_p, self.max_tokens), self.max_tries, self.seed)
        source = enumerate(rows)
        with Asker(as_teacher(teacher), context) as asker:
            while batch := list(islice(source, TOGETHER)):
                written = asked(asker, self._questions(batch), read_evolved, tries, context, len(rows))
                pairs = [
                    (name, {**row, "instruction": answer.value, "output": row[self.column]})
                    for (name, row), (answer,) in written
                ]
                yield from self._curated(pairs, asker, context)
        if len(rows) and not context.ledger.kept:
            raise PotstillError(f"no pair of {len(rows)} is left: {context.ledger.counts()}; lower min_score?")

    def _questions(self, batch: list[tuple[int, dict[str, Any]]]) -> Iterator[Question[tuple[str, dict[str, Any]]]]:
        """Yield the question for the instruction of each text."""
        for number, row in batch:
            name = row_name(row, number)
            yield Question((name, row), name, (rendered(self.prompt, {**row, "text": row[self.column]}),))

    def _curated(
        self, pairs: list[tuple[str, dict[str, Any]]], asker: Asker, context: Context
    ) -> Iterator[dict[str, Any]]:
        """Rate the pairs; yield those that are good enough."""
        if not self.min_score:
            context.ledger.keep(len(pairs))
            yield from (row for _, row in pairs)
            return
        questions = (Question((name, row), name, (rendered(self.curate, row),)) for name, row in pairs)
        tries = Tries(Sampling(max_tokens=self.max_tokens), self.max_tries, self.seed)
        for (name, row), (answer,) in asked(asker, questions, read_score, tries, context):
            if answer.value < self.min_score:
                context.ledger.lose(
                    name, "filtered", f"score {answer.value} below {self.min_score}", row["instruction"]
                )
                continue
            context.ledger.keep()
            yield {**row, "score": answer.value}


def read_score(text: str) -> int:
    """Return the score that an answer ends with.

    >>> read_score("On a scale of 1 to 5 it does well. **Score:** 4")
    4

    Raises:
        ValueError: it has none.
    """
    text = after_thoughts(text)
    scores = SCORE.findall(text) or re.findall(r"\A\W*([1-5])\W*\Z", text)
    if not scores:
        raise ValueError("no line with Score: and a number from 1 to 5")
    # the last one, since a rating ends the explanation before it
    return int(scores[-1])
