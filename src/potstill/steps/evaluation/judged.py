"""Measuring answers by a judge: grades of one model's answers, and preferences between those of two."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

from annotated_types import MinLen

from potstill.engine.step import Estimate, Rows
from potstill.errors import BadInput, Problem
from potstill.metrics.answers import exact_match, row_digest
from potstill.metrics.judging import POINTS, Better, Pair, grade_figures, pair_figures
from potstill.metrics.kept_rows import present, write
from potstill.prompts import Template, rendered
from potstill.prompts.values import UnfitRow
from potstill.publishing.trackers import send
from potstill.steps.generation.answer_parsers import one_of
from potstill.steps.generation.answer_parsers import score as score_of
from potstill.steps.generation.choice import ChoiceStep, tries_for_choice
from potstill.steps.labelling.judge_generations import matched
from potstill.steps.labelling.pairwise_verdict import CHOICES, CRITERION, GIVEN, both_orders, verdict
from potstill.steps.rows.prompt_columns import prompt_columns, prompt_problems
from potstill.teachers.cache.parse_retry import Question, asked, row_name, upper_bound

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource

SET = "test"
"""What the rows are called in figures and rows."""
Row = dict[str, Any]
_TEXTS = ("id", "set", "input", "gold", "answer")


class EvaluateGrades(ChoiceStep):
    """Has a judge grade answers, and measures the mean grade with its interval.

    Where a column holds right answers, it is shown how often the judge gives them the better grade (`gold_auc`); where
    people graded some of the rows, what they would say of all of them: a judge alone is not evidence. Rows that stay
    without a grade are lost in the ledger. Let no model grade its own answers (Zheng et al. 2023, section 3.3).

    >>> rows = LoadRows([{"instruction": "Name a colour.", "output": "Blue."}] * 2)
    >>> EvaluateGrades(rows, teacher=teacher, criterion="It names a colour.")
    <EvaluateGrades unnamed, a step that has not run>
    """

    rows: Rows
    """Rows with answers."""
    _: KW_ONLY
    criterion: str = ""
    """What a good answer meets."""
    prompt: Template = "rank.jinja"
    """Gets `criterion`, `low`, `high` and the row's columns; asks for a number."""
    low: int = 1
    """Worst grade."""
    high: int = 5
    """Best grade."""
    output: Annotated[str, MinLen(1)] = "output"
    """Column of the answers."""
    gold: str = ""
    """Column with the right answer, where there is one; the judge does not see it unless the prompt has it."""
    human: str = ""
    """Column with the grades that people gave to some rows, drawn at random; null for the others."""
    cluster: str = ""
    """Column that says which rows come from one source; rows of one source count as alike."""

    version: ClassVar[int] = 1
    makes: ClassVar[str] = "metrics"
    send_results = send

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher, the template or the scale."""
        yield from super().check()
        yield from prompt_problems(self.prompt, wanted=("criterion",) if self.criterion else ())
        if self.prompt == "rank.jinja" and not self.criterion:
            yield Problem("", "criterion", "is empty: say what a good answer meets, or give a prompt that does")
        if not self.low < self.high:
            yield Problem("", "high", f"must exceed low={self.low}, got {self.high}")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that are read."""
        named = (one for one in (self.gold, self.human, self.cluster) if one)
        return {"rows": (self.output, *named, *prompt_columns(self.prompt, ("criterion", "low", "high")))}

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count a question a row."""
        return upper_bound(rows.get("rows"), 1, self.max_tokens)

    def run(self, rows: Dataset, teacher: TeacherSource, context: Context) -> dict[str, Any]:
        """Grade the rows.

        Raises:
            BadInput: there are no rows, or no row has a grade.
        """
        _refuse_empty(rows)
        choices = tuple(str(grade) for grade in range(self.low, self.high + 1))
        tries = tries_for_choice(self, choices, teacher)
        parse = score_of(self.low, self.high)
        graded: list[tuple[Row, float]] = []
        for row, answers in asked(teacher, self._questions(rows), parse, tries, context, len(rows)):
            graded.append((row, float(answers[0].value)))
            context.ledger.keep()
        if not graded:
            raise BadInput("the judge gave no grade at all: potstill lost shows what it wrote")
        right = [_is_right(row, row[self.output], self.gold) for row, _ in graded]
        people = [_grade_of(row, self.human) for row, _ in graded]
        records = [
            {**_texts(row, number, self.output, self.gold), "score_grade": grade, "score_human": human}
            for number, ((row, grade), human) in enumerate(zip(graded, people, strict=True))
        ]
        columns = {**dict.fromkeys(_TEXTS, "text"), "score_grade": "number", "score_human": "number"}
        write(context.out, columns, records)
        figures = grade_figures(
            [grade for _, grade in graded],
            right=right,
            human=people,
            lengths=[len(str(row[self.output])) for row, _ in graded],
            clusters=_clusters([row for row, _ in graded], self.cluster),
        )
        scores = {"row_scores": [grade for _, grade in graded], "row_digest": row_digest(one["id"] for one in records)}
        counts = {"n": len(graded), "lost": len(rows) - len(graded), "low": self.low, "high": self.high}
        return {"sets": {SET: {**counts, **figures, **scores}}, "judge": _label(teacher)}

    def _questions(self, rows: Dataset) -> Iterator[Question[Row]]:
        """Yield the question about each row."""
        scale = {"criterion": self.criterion, "low": self.low, "high": self.high}
        for number, row in enumerate(cast("Iterable[Row]", rows)):
            chat = rendered(self.prompt, {**row, **scale})
            # a prompt may leave a null out, and the judge would grade a row without an answer
            asked_of = UnfitRow(f"{self.output} is null") if row[self.output] is None else chat
            yield Question(row, row_name(row, number), (asked_of,))


class EvaluatePairs(ChoiceStep):
    """Has a judge compare the answers that two models gave to the same rows, and measures how often the first wins.

    Each pair is asked in both orders, and a judge that contradicts itself counts as a tie (Zheng et al. 2023, section
    3.4). Beside the win rate and its interval over questions stand ties, contradictions, how often the longer answer
    wins, how often the right one does where just one is right, and, with labels of people for some of the rows, what
    they would say of all.

    >>> one = LoadRows([{"id": "q", "instruction": "Name a colour.", "output": "Blue."}] * 1)
    >>> two = LoadRows([{"id": "q", "instruction": "Name a colour.", "output": "The sea."}] * 1)
    >>> EvaluatePairs(one, two, teacher=teacher)
    <EvaluatePairs unnamed, a step that has not run>
    """

    first: Rows
    """Rows with the answers of the model that is measured."""
    second: Rows
    """Rows with those of the other one; rows without a partner are left out and counted."""
    _: KW_ONLY
    criterion: str = CRITERION
    """What makes an answer better."""
    prompt: Template = "judge_pair.jinja"
    """Gets `first`, `second` and `criterion`, and the row's columns; asks for A, B or tie."""
    match: Annotated[str, MinLen(1)] = "id"
    """Column by which rows belong together; each value once on both sides."""
    output: Annotated[str, MinLen(1)] = "output"
    """Column of the answers, on both sides."""
    gold: str = ""
    """Column of `first` with the right answer, where there is one."""
    human: str = ""
    """Column of `first` with what people said of some pairs: `first`, `second` or `tie`; null for the others."""
    cluster: str = ""
    """Column of `first` that says which rows come from one source; rows of one source count as alike."""

    version: ClassVar[int] = 1
    makes: ClassVar[str] = "metrics"
    send_results = send

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher or the template."""
        yield from super().check()
        yield from prompt_problems(self.prompt, wanted=("first", "second"))

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return what both sides must have."""
        common = (self.match, self.output)
        named = (one for one in (self.gold, self.human, self.cluster) if one)
        return {"first": (*common, *named, *prompt_columns(self.prompt, GIVEN)), "second": common}

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count two questions a row."""
        return upper_bound(rows.get("first"), 2, self.max_tokens)

    def run(self, first: Dataset, second: Dataset, teacher: TeacherSource, context: Context) -> dict[str, Any]:
        """Compare the answers.

        Raises:
            BadInput: the match column isn't unique, no row has a partner, or a person's label is none.
        """
        partners = matched(first, second, self.match)
        tries = tries_for_choice(self, CHOICES, teacher)
        others = second[self.output]
        judged: list[tuple[Row, str, Pair]] = []
        questions = self._questions(first, others, partners)
        for (row, other), answers in asked(teacher, questions, one_of(CHOICES), tries, context, 2 * len(partners)):
            judged.append((row, other, self._pair(row, other, [answer.value for answer in answers])))
            context.ledger.keep()
        if not judged:
            raise BadInput("the judge gave no verdict at all: potstill lost shows what it wrote")
        records = [
            {
                **_texts(row, number, self.output, self.gold),
                "other": other,
                "better": pair.better,
                "agreed": pair.agreed,
                "human": pair.human,
                "score_points": POINTS[pair.better],
            }
            for number, (row, other, pair) in enumerate(judged)
        ]
        texts = dict.fromkeys((*_TEXTS, "other", "better", "human"), "text")
        write(context.out, {**texts, "agreed": "flag", "score_points": "number"}, records)
        pairs = [pair for _, _, pair in judged]
        figures = pair_figures(pairs, _clusters([row for row, _, _ in judged], self.cluster))
        counts = {"n": len(judged), "lost": len(partners) - len(judged), "unmatched": len(first) - len(partners)}
        return {"sets": {SET: {**counts, **figures}}, "judge": _label(teacher)}

    def _questions(
        self, first: Dataset, others: Sequence[str], partners: Mapping[int, int]
    ) -> Iterator[Question[tuple[Row, str]]]:
        """Yield each pair in both orders."""
        for number, row in enumerate(cast("Iterable[Row]", first)):
            if number in partners:
                other = others[partners[number]]
                chats = both_orders(self.prompt, row, row[self.output], other, self.criterion)
                yield Question((row, other), str(row[self.match]), chats)

    def _pair(self, row: Row, other: str, answers: Sequence[str]) -> Pair:
        """Return what was said of a pair."""
        result = verdict(answers)
        own = row[self.output]
        gold = (_is_right(row, own, self.gold), _is_right(row, other, self.gold))
        right = None if gold[0] is None or gold[1] is None else (gold[0], gold[1])
        human = _value(row, self.human)
        if human is not None and human not in POINTS:
            name = row[self.match]
            raise BadInput(Problem("", "human", f"row {name!r} says {human!r:.60}: say first, second, tie or nothing"))
        lengths = (len(str(own)), len(str(other)))
        return Pair(cast("Better", result.better), result.agreed, lengths, right, human)


def _refuse_empty(rows: Dataset) -> None:
    """Refuse an empty test set.

    Raises:
        BadInput: it has no rows.
    """
    if not len(rows):
        raise BadInput("there are no rows to judge: give at least one")


def _texts(row: Mapping[str, Any], number: int, output: str, gold: str) -> dict[str, Any]:
    """Return what is kept of a row in every evaluation."""
    right = _value(row, gold)
    return {
        "id": row_name(row, number),
        "set": SET,
        "input": str(row.get("instruction", "")),
        "gold": right
        if right is None or isinstance(right, str)
        else json.dumps(right, ensure_ascii=False, default=str),
        "answer": str(row[output]),
    }


def _is_right(row: Mapping[str, Any], answer: object, gold: str) -> bool | None:
    """Return whether an answer is the right one, or one of several; `None` where the row has none.

    Raises:
        BadInput: what is there is no text.
    """
    right = _value(row, gold)
    golds = [one for one in right if one is not None] if isinstance(right, list) else [] if right is None else [right]
    if not all(isinstance(one, str) for one in golds):
        raise BadInput(Problem("", "gold", f"row {row.get('id')!r} has {right!r:.60}: give a text, or a list of texts"))
    return any(exact_match(str(answer), one) for one in golds) if golds else None


def _value(row: Mapping[str, Any], column: str) -> Any:
    """Return the value of a column; `None` where there is none, or no such column is named."""
    return present(row.get(column)) if column else None


def _grade_of(row: Mapping[str, Any], human: str) -> float | None:
    """Return a person's grade of a row, if there is one.

    Raises:
        BadInput: it is no number.
    """
    value = _value(row, human)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isinf(value):
        raise BadInput(Problem("", "human", f"row {row.get('id')!r} says {value!r:.60}: give numbers, or nothing"))
    return float(value)


def _clusters(rows: Sequence[Row], cluster: str) -> list[str] | None:
    """Return the source of each row; one that names none is alone."""
    if not cluster:
        return None
    sources = [_value(row, cluster) for row in rows]
    return [f"row {place}" if source is None else f"of {source}" for place, source in enumerate(sources)]


def _label(teacher: TeacherSource) -> str:
    """Return the judge's name."""
    return str(getattr(teacher, "label", teacher))
