"""Generate rows from a prompt with varied attributes (Yu et al. 2023, "LLM as Attributed Training Data Generator")."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from potstill.engine.step import Estimate
from potstill.errors import Problem
from potstill.prompts import Template, rendered
from potstill.steps.generation.answer_column import rows_with_answers
from potstill.steps.generation.base import GenerationStep
from potstill.steps.rows.prompt_columns import prompt_problems
from potstill.teachers.cache.parse_retry import Question, upper_bound

if TYPE_CHECKING:
    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource

ALWAYS = frozenset({"id", "finish_reason"})
"""Columns that the step makes itself."""


class DataFromAttributedPrompt(GenerationStep):
    """Has the teacher write `n` texts, each for other values of the attributes; their values stay as columns.

    The paper draws each value by chance; here they are dealt out evenly: after any number of rows every value of an
    attribute, and after every full round every combination, has come equally often. So a class label among the
    attributes gives balanced data. The rows for a smaller `n` are the first ones for a larger.

    >>> reviews = DataFromAttributedPrompt(
    ...     "Write a {{ mood }} review of a {{ thing }}.", {"mood": ("glad", "sad"), "thing": ("lamp", "fan")},
    ...     teacher=teacher, n=4, max_tokens=4, keep_cut=True,
    ... )
    >>> show(Select(reviews, ["mood", "thing"]))
    {'mood': 'sad', 'thing': 'fan'}
    {'mood': 'glad', 'thing': 'lamp'}
    {'mood': 'sad', 'thing': 'lamp'}
    {'mood': 'glad', 'thing': 'fan'}
    """

    prompt: Template
    """What is asked, with every attribute as a variable."""
    attributes: Mapping[str, Sequence[str]]
    """The values of each attribute."""
    _: KW_ONLY
    n: Annotated[int, Ge(1)]
    """Rows wanted."""
    temperature: Annotated[float, Ge(0)] = 1.0
    """1 draws from the teacher's own distribution, as in the paper."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher, the prompt or the attributes."""
        yield from super().check()
        yield from prompt_problems(self.prompt, allowed=self.attributes, wanted=tuple(self.attributes))
        if not self.attributes:
            yield Problem("", "attributes", "has none: give at least one, or take DataFromPrompt")
        for name, values in self.attributes.items():
            if isinstance(values, str) or not values or len(set(values)) < len(values):
                yield Problem("", "attributes", f"{name} must be a list of different values, got {values!r:.60}")
        taken = sorted(self.attributes.keys() & (ALWAYS | {self.output}))
        if taken:
            yield Problem("", "attributes", f"{', '.join(taken)} is a column that the step makes: rename it")
        combinations = math.prod(max(1, len(values)) for values in self.attributes.values())
        if self.temperature == 0 and self.n > combinations:
            text = f"{self.n} rows of {combinations} combinations repeat greedy answers: set temperature, or lower n"
            yield Problem("", "n", text)

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns made."""
        return frozenset(self.attributes) | ALWAYS | {self.output}

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume answers of full length: an upper bound."""
        return upper_bound(self.n, 1, self.max_tokens)

    def run(self, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows."""
        yield from rows_with_answers(self, teacher, self._questions(), self.n, context)

    def _questions(self) -> Iterator[Question[dict[str, Any]]]:
        """Yield a prompt for each row."""
        names = list(self.attributes)
        values = {name: list(self.attributes[name]) for name in names}
        for name in names:
            # seeded by name, so that adding an attribute doesn't reshuffle the others
            random.Random(f"{self.seed}/{name}").shuffle(values[name])
        sizes = [len(values[name]) for name in names]
        for number in range(self.n):
            chosen = {name: values[name][place] for name, place in zip(names, dealt(number, sizes), strict=True)}
            row_id = f"made-{number}"
            yield Question({"id": row_id, **chosen}, row_id, (rendered(self.prompt, chosen),), number)


def dealt(number: int, sizes: Sequence[int]) -> list[int]:
    """Return which value of each attribute row `number` gets, for attributes with `sizes` values.

    Every prefix of the rows gives the values of an attribute equally often, up to one, and each run of as many rows
    as there are combinations gives every combination once. The attributes so far are one with M combinations; the next
    one, of m values, goes along with it and is shifted by one whenever both would begin to repeat, after lcm(M, m).

    >>> [dealt(number, [2, 2]) for number in range(4)]
    [[0, 0], [1, 1], [0, 1], [1, 0]]
    """
    total = math.prod(sizes)
    places = []
    before = total
    number %= total
    for size in reversed(sizes):
        before //= size
        places.append((number + number // math.lcm(before, size)) % size)
        number %= before
    return places[::-1]
