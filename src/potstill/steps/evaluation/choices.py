"""Multiple choice by log-probability: the answer that the model finds most likely, as it is or for its length."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from annotated_types import Interval, MinLen

from potstill.engine.step import Estimate, Output, Rows, Step, Trial
from potstill.errors import BadInput, PotstillError, Problem, TooManyLost
from potstill.metrics.answers import packed, row_digest, wilson
from potstill.metrics.kept_rows import write
from potstill.models.edge import Model
from potstill.models.preload import ENGINE
from potstill.prompts import Template, rendered
from potstill.publishing.trackers import send
from potstill.steps.evaluation.asking_cost import LENGTHS_UNKNOWN, ROWS_UNKNOWN, cost_of_requests, is_paid
from potstill.steps.evaluation.evaluated_model import teacher_for
from potstill.steps.evaluation.evaluation_sets import by_name, missing_sets
from potstill.steps.evaluation.exports import export_problems
from potstill.steps.labelling.score import scorer_problems
from potstill.steps.rows.prompt_columns import prompt_columns
from potstill.teachers.cache.response_cache import Asker
from potstill.teachers.protocol import Request, Sampling

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import Response, TeacherSource

Norm = Literal["sum", "token", "byte"]
"""What log-probabilities of choices are compared by: as they are, a token, or a byte of UTF-8."""
NORMS: tuple[Norm, ...] = ("sum", "token", "byte")


@dataclass(frozen=True)
class Item:
    """A question with its choices."""

    set: str
    """Name of the test set."""
    row: str
    """Id of the row."""
    asked: str
    """What is asked."""
    choices: tuple[str, ...]
    """The answers to choose from."""
    gold: int
    """Place of the right one."""
    requests: tuple[Request, ...]
    """One a choice."""


@dataclass(frozen=True)
class Chosen:
    """What a model makes of one question."""

    picks: Mapping[Norm, int | None]
    """Place of the choice, by what is compared; `None` where two are equally likely, which is no choice."""
    probability: float
    """Share of the most likely one in the probabilities of all choices, by `sum`."""


def chosen(scores: Sequence[float], tokens: Sequence[int], choices: Sequence[str]) -> Chosen:
    """Return which of the choices a model takes.

    >>> chosen([-4.0, -6.0], [1, 3], ["no", "not at all"]).picks
    {'sum': 0, 'token': 1, 'byte': 1}
    """
    each: dict[Norm, list[float]] = {
        "sum": list(scores),
        "token": [score / max(1, count) for score, count in zip(scores, tokens, strict=True)],
        "byte": [score / max(1, len(text.encode())) for score, text in zip(scores, choices, strict=True)],
    }
    # of equal ones, the first would be right wherever a test set has its right answers first
    picks = {name: own.index(max(own)) if own.count(max(own)) == 1 else None for name, own in each.items()}
    top = max(scores)
    # of choices that are all impossible, as of equal ones, each has the same share
    weights = [math.exp(score - top) if score != top else 1.0 for score in scores]
    return Chosen(picks, 1.0 / math.fsum(weights))


class EvaluateChoices(Step):
    """Let a model choose between given answers by their log-probability, and measure how often it takes the right one.

    The log-probability is that of the whole answer and its end, as an answer in the model's chat. Compared as they are,
    short answers have the advantage; for each token or byte they don't. Where the two most likely ones are equally
    likely, none is chosen: such `ties` count as wrong. All three accuracies are measured, `by` says
    which is the main one. Nothing is written, so that a model that can't keep to a form is measured too.

    L. Gao, "Multiple choice normalization in LM evaluation" (EleutherAI 2021).

    >>> rows = LoadRows([{"instruction": "turn on the light", "choices": ["light", "heating"], "output": "light"}])
    >>> EvaluateChoices(teacher, rows)
    <EvaluateChoices unnamed, a step that has not run>
    """

    model: Model
    """A step that makes a model, a local folder, a Hub id, or a teacher that scores a given text."""
    rows: Rows | Mapping[str, Rows]
    """Test rows; several sets by name, or one, which is then called `test`."""
    _: KW_ONLY
    choices: Annotated[str, MinLen(1)] | Sequence[str] = "choices"
    """Column with the choices of each row, or the choices themselves where they are the same for all."""
    output: Annotated[str, MinLen(1)] = "output"
    """Column with the right one: its text, or its place, counted from 0."""
    prompt: Template = "answer.jinja"
    """Template that turns a row into a chat."""
    by: Norm = "sum"
    """What the main accuracy compares: `sum`, `token` or `byte`."""
    max_failed: Annotated[float, Interval(ge=0, le=1)] = 0.0
    """Share of rows for which the teacher may fail; they count as wrong."""

    makes: ClassVar[str] = "metrics"
    send_results = send
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ENGINE

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the test sets, the choices or the model."""
        yield from missing_sets(self.rows)
        if not isinstance(self.choices, str) and len(set(self.choices)) < 2:
            yield Problem("", "choices", f"{list(self.choices)!r:.80} are no choice: give at least two that differ")
        if isinstance(self.model, (Step, Output, str)):
            yield from export_problems(self.model, "language models", type(self).__name__)
        elif hasattr(self.model, "open"):
            for problem in scorer_problems(self.model):
                yield Problem("", "model", problem.message)

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns of a test set."""
        named = [self.choices] if isinstance(self.choices, str) else []
        return {"rows": (self.output, *named, *prompt_columns(self.prompt))}

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Return a request a choice, four where they are not known yet."""
        count = 4 if isinstance(self.choices, str) else len(self.choices)
        known = rows.get("rows")
        unknown = (ROWS_UNKNOWN if known is None else LENGTHS_UNKNOWN) if is_paid(self.model) else ""
        return Estimate(calls=count * (known or 0), unknown=unknown)

    def forecast(self, rows: Mapping[str, int | None], trial: Trial) -> Estimate:
        """Count the texts that the journal lacks with their tokens and the teacher's price.

        Raises:
            BadInput: the rows can't be asked.
        """
        inputs = trial.inputs()
        teacher = teacher_for(inputs["model"])
        requests = [request for item in self._items(by_name(inputs["rows"])) for request in item.requests]
        with Asker(teacher, trial.context()) as asker:
            own = {asker.key(request): request for request in requests}
            known = asker.known(list(own))
        left = cost_of_requests([request for key, request in own.items() if key not in known], teacher)
        return replace(left, cached=len(known))

    def run(self, model: TeacherSource, rows: Dataset | Mapping[str, Dataset], context: Context) -> dict[str, Any]:
        """Measure `model` on `rows`.

        Raises:
            BadInput: a set without rows, or a row without choices, a right one, or a question; all of them together.
            TooManyLost: the teacher failed for more rows than `max_failed` allows.
        """
        items = self._items(by_name(rows))
        teacher = teacher_for(model)
        with Asker(teacher, context) as asker:
            requests = [(number, one) for number, item in enumerate(items) for one in item.requests]
            answers: list[list[Response]] = [[] for _ in items]
            for number, response in asker.ask(requests, len(requests)):
                answers[number].append(response)
        picks = [_choice(item, own) for item, own in zip(items, answers, strict=True)]
        failed = [
            (item.row, _first_error(own)) for item, own, pick in zip(items, answers, picks, strict=True) if pick is None
        ]
        for row, error in failed:
            context.ledger.lose(row, "retryable", "teacher error", error)
        context.ledger.keep(len(items) - len(failed))
        if len(failed) > self.max_failed * len(items):
            text = failed[0][1]
            raise TooManyLost(f"the teacher failed for {len(failed)} of {len(items)} rows, the first time with: {text}")
        self._write(context, items, picks)
        sets = {name: self._figures(items, picks, name) for name in dict.fromkeys(item.set for item in items)}
        return {"sets": sets, "engine": {"teacher": type(teacher).__name__, "label": teacher.label, "by": self.by}}

    def _items(self, sets: Mapping[str, Dataset]) -> list[Item]:
        """Return the questions of all test sets."""
        items: list[Item] = []
        problems = [f"the test set {name!r} has no rows: give at least one" for name in sets if not len(sets[name])]
        for name, rows in sets.items():
            for number, row in enumerate(cast("Iterable[dict[str, Any]]", rows)):
                item = self._item(name, str(row.get("id", number)), row)
                if isinstance(item, str):
                    problems.append(f"row {row.get('id', number)!r} of the test set {name!r}: {item}")
                else:
                    items.append(item)
        if problems:
            raise BadInput(*problems)
        return items

    def _item(self, name: str, row_id: str, row: Mapping[str, Any]) -> Item | str:
        """Return the question of a row, or why it has none."""
        chat = rendered(self.prompt, row)
        if not isinstance(chat, list):
            return chat.reason
        texts = row.get(self.choices) if isinstance(self.choices, str) else self.choices
        if not isinstance(texts, list | tuple) or not all(isinstance(one, str) and one for one in texts):
            return f"{self.choices!r} must be a list of texts, got {texts!r:.80}"
        if len(set(texts)) != len(texts) or len(texts) < 2:
            return f"its choices must be at least two that differ, got {list(texts)!r:.80}"
        right = row.get(self.output)
        place = texts.index(right) if right in texts else right
        if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < len(texts):
            return f"{self.output} must be one of the choices or its place, got {right!r:.60}"
        requests = tuple(Request(chat, Sampling(max_tokens=1), continuation=one) for one in texts)
        return Item(name, row_id, chat[-1]["content"], tuple(texts), place, requests)

    def _figures(self, items: Sequence[Item], picks: Sequence[Chosen | None], name: str) -> dict[str, Any]:
        """Return the figures of one test set."""
        own = [(item, pick) for item, pick in zip(items, picks, strict=True) if item.set == name]
        right = {norm: [pick is not None and pick.picks[norm] == item.gold for item, pick in own] for norm in NORMS}
        main = wilson(sum(right[self.by]), len(own))
        return {
            "n": len(own),
            "accuracy": main.value,
            "accuracy_low": main.low,
            "accuracy_high": main.high,
            **{f"accuracy_by_{norm}": sum(right[norm]) / len(own) for norm in NORMS},
            "chance": math.fsum(1 / len(item.choices) for item, _ in own) / len(own),
            "ties": sum(pick is not None and pick.picks[self.by] is None for _, pick in own),
            "errors": sum(pick is None for _, pick in own),
            "row_right": packed(right[self.by]),
            "row_digest": row_digest((item.asked, "\n".join(item.choices)) for item, _ in own),
        }

    def _write(self, context: Context, items: Sequence[Item], picks: Sequence[Chosen | None]) -> None:
        """Write all rows."""
        texts = ("id", "set", "input", "gold", "answer", "finish_reason")
        columns = {**dict.fromkeys(texts, "text"), "probability": "number", "correct": "flag"}
        write(context.out, columns, self._rows(items, picks))

    def _rows(self, items: Sequence[Item], picks: Sequence[Chosen | None]) -> Iterator[dict[str, Any]]:
        """Yield what is kept of each row."""
        for item, pick in zip(items, picks, strict=True):
            place = None if pick is None else pick.picks[self.by]
            yield {
                "id": item.row,
                "set": item.set,
                "input": item.asked,
                "gold": item.choices[item.gold],
                "answer": None if place is None else item.choices[place],
                "finish_reason": "error" if pick is None else "stop",
                "probability": None if pick is None else pick.probability,
                "correct": place == item.gold,
            }


def _choice(item: Item, responses: Sequence[Response]) -> Chosen | None:
    """Return what a model chose; `None` where the teacher failed.

    Raises:
        PotstillError: the teacher gave no log-probabilities.
    """
    if any(response.finish_reason == "error" for response in responses):
        return None
    scores, tokens = [], []
    for response in responses:
        if response.token_logprobs is None:
            raise PotstillError("the teacher gave no log-probabilities of a given text: take VLLM or Transformers")
        scores.append(math.fsum(response.token_logprobs.tolist()))
        tokens.append(len(response.token_logprobs))
    return chosen(scores, tokens, item.choices)


def _first_error(responses: Sequence[Response]) -> str:
    """Return why a teacher failed."""
    return next((response.text for response in responses if response.finish_reason == "error"), "")
