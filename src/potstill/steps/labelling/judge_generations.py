"""Judge two teachers' answers to the same prompts, as chosen and rejected pairs for preference training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import MinLen

from potstill.engine.step import Estimate, Rows
from potstill.errors import BadInput, Problem
from potstill.prompts import Template
from potstill.steps.generation.answer_parsers import one_of
from potstill.steps.generation.choice import ChoiceStep, tries_for_choice
from potstill.steps.labelling.pairwise_verdict import CHOICES, CRITERION, GIVEN, Verdict, both_orders, verdict
from potstill.steps.rows.prompt_columns import prompt_columns, prompt_problems
from potstill.teachers.cache.parse_retry import Question, asked, upper_bound

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource

TIE = "tie"


class JudgeGenerationPairsWithPrompt(ChoiceStep):
    """Has a teacher compare the answers that two steps gave to the same rows, matched by `id`.

    Let none of the two that wrote judge, for judges favour themselves (Zheng et al. 2023, section 3.3).

    Makes the row of `first` with `chosen`, `rejected`, `chosen_from` (`first` or `second`) and `tie`. Each pair is
    asked in both orders (Zheng et al. 2023, section 3.4), and a judge that contradicts itself counts as a tie. Of a
    tie, `chosen` is the answer of `first`, which says nothing: drop ties before preference training, here with
    `keep_ties=False`.

    >>> one = LoadRows([{"id": "q", "instruction": "Name a colour.", "output": "Blue."}])
    >>> two = LoadRows([{"id": "q", "instruction": "Name a colour.", "output": "The sea."}])
    >>> judged = JudgeGenerationPairsWithPrompt(one, two, teacher=teacher)
    >>> show(Select(judged, ["id", "chosen", "rejected", "tie"]))
    {'id': 'q', 'chosen': 'Blue.', 'rejected': 'The sea.', 'tie': True}
    """

    first: Rows
    """Rows with the one answer."""
    second: Rows
    """Rows with the other; those without a partner are dropped."""
    _: KW_ONLY
    criterion: str = CRITERION
    """What makes one better."""
    prompt: Template = "judge_pair.jinja"
    """Gets `first`, `second` and `criterion`, and the row's columns; asks for A, B or tie."""
    match: Annotated[str, MinLen(1)] = "id"
    """Column by which rows belong together; each value once on both sides."""
    output: Annotated[str, MinLen(1)] = "output"
    """Column of the answers, on both sides."""
    keep_ties: bool = True
    """Whether ties stay, marked; else they are dropped."""

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher or the template."""
        yield from super().check()
        yield from prompt_problems(self.prompt, wanted=("first", "second"))

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return what both sides must have, and what else the template uses."""
        common = (self.match, self.output)
        return {"first": (*common, *prompt_columns(self.prompt, GIVEN)), "second": common}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows of `first` without the answer, and the new ones."""
        rows = inputs.get("first")
        return None if rows is None else (rows - {self.output}) | {"chosen", "rejected", "chosen_from", "tie"}

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count two questions a row."""
        return upper_bound(rows.get("first"), 2, self.max_tokens)

    def run(
        self, first: Dataset, second: Dataset, teacher: TeacherSource, context: Context
    ) -> Iterator[dict[str, Any]]:
        """Yield the judged pairs, in the order of `first`.

        Raises:
            BadInput: the match column isn't unique, or no row has a partner.
        """
        pairs = matched(first, second, self.match)
        tries = tries_for_choice(self, CHOICES, teacher)
        questions = self._questions(first, second, pairs, context)
        for (row, answer), answers in asked(teacher, questions, one_of(CHOICES), tries, context, 2 * len(pairs)):
            result = verdict([answer.value for answer in answers])
            if result.better == TIE and not self.keep_ties:
                context.ledger.lose(str(row[self.match]), "filtered", TIE)
                continue
            context.ledger.keep()
            yield self._judged(row, answer, result)

    def _questions(
        self, first: Dataset, second: Dataset, pairs: Mapping[int, int], context: Context
    ) -> Iterator[Question[tuple[dict[str, Any], str]]]:
        """Yield each pair in both orders."""
        for number, row in enumerate(first):
            if number not in pairs:
                context.ledger.lose(str(row[self.match]), "filtered", "no partner in second")
                continue
            other = second[pairs[number]][self.output]
            chats = both_orders(self.prompt, row, row[self.output], other, self.criterion)
            yield Question((row, other), str(row[self.match]), chats)

    def _judged(self, row: Mapping[str, Any], other: str, result: Verdict) -> dict[str, Any]:
        """Return the row of a pair."""
        mine = row[self.output]
        source = "second" if result.better == "second" else "first"
        chosen, rejected = (other, mine) if source == "second" else (mine, other)
        rest = {name: value for name, value in row.items() if name != self.output}
        tie = result.better == TIE
        return {**rest, "chosen": chosen, "rejected": rejected, "chosen_from": source, "tie": tie}


def matched(first: Dataset, second: Dataset, column: str) -> dict[int, int]:
    """Return, by row of `first`, the row of `second` with the same value in `column`.

    Raises:
        BadInput: a value comes twice on one side, or no value on both.
    """
    places: dict[str, dict[Any, int]] = {}
    problems = []
    for name, rows in (("first", first), ("second", second)):
        here = places.setdefault(name, {})
        for number, value in enumerate(rows[column]):
            if value in here:
                twice = f"rows {here[value]} and {number} both have {column} {value!r}: pairs need it once"
                problems.append(Problem("", name, twice))
            here.setdefault(value, number)
    if not problems and not places["first"].keys() & places["second"].keys():
        examples = [next(iter(here), None) for here in places.values()]
        text = (
            f"no {column} is on both sides (first has e.g. {examples[0]!r}, second {examples[1]!r}): nothing to judge"
        )
        problems.append(Problem("", "match", text))
    if problems:
        raise BadInput(*problems[:20])
    return {number: places["second"][value] for value, number in places["first"].items() if value in places["second"]}
