"""How a language model's answers to test rows are scored, and which mistakes are kept as examples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from potstill.metrics.answers import against_most_common, canonical, exact_match, packed, row_digest, valid_json
from potstill.metrics.uncertainty.interval import Interval
from potstill.metrics.uncertainty.shares import share_interval
from potstill.teachers.protocol import Request, Response


@dataclass(frozen=True)
class Question:
    """One test row as the model meets it."""

    set: str
    """Name of the test set."""
    row: str
    """Id of the row."""
    instruction: str
    """What is asked, for the list of mistakes."""
    expected: str
    """The right answer, the first of several."""
    request: Request
    """What the model gets."""
    columns: Mapping[str, Any] = field(default_factory=dict)
    """The whole row, for measures that look at other columns."""
    cluster: str | None = None
    """What the row comes from, such as its passage or its seed task."""
    others: tuple[str, ...] = ()
    """More right answers."""

    @property
    def golds(self) -> str | list[str]:
        """Return the right answer, or all of several."""
        return [self.expected, *self.others] if self.others else self.expected

    @property
    def gold_text(self) -> str:
        """Return the right answer as text; several as a JSON list."""
        return json.dumps(self.golds, ensure_ascii=False) if self.others else self.expected


def score(
    questions: Sequence[Question], responses: Sequence[Response], clustered: bool = False
) -> dict[str, dict[str, Any]]:
    """Return, by test set, the share of exact answers and of valid JSON, each with its 95 % interval.

    Which rows are right is kept too, so that two models on the same rows can be compared row by row.

    Args:
        questions: what was asked.
        responses: the answers, in the same order.
        clustered: whether rows of one cluster count as alike.
    """
    by_set: dict[str, list[tuple[Question, Response]]] = {}
    for question, response in zip(questions, responses, strict=True):
        by_set.setdefault(question.set, []).append((question, response))
    return {name: _set_score(pairs, clustered) for name, pairs in by_set.items()}


def clusters_of(questions: Iterable[Question]) -> list[str | int]:
    """Return the cluster of each row; one that names none is alone, by a number."""
    return [number if one.cluster is None else one.cluster for number, one in enumerate(questions)]


def _set_score(pairs: Sequence[tuple[Question, Response]], clustered: bool) -> dict[str, Any]:
    reasons = [response.finish_reason for _, response in pairs]
    right = [is_right(question, response) for question, response in pairs]
    answers = [canonical(question.expected) for question, _ in pairs]
    texts = [answer or question.expected.strip() for answer, (question, _) in zip(answers, pairs, strict=True)]
    valid = [response.finish_reason != "error" and valid_json(response.text) for _, response in pairs]
    clusters = clusters_of(question for question, _ in pairs) if clustered else None
    return {
        "n": len(pairs),
        **_share("exact_match", share_interval(right, clusters)),
        **_share("valid_json", share_interval(valid, clusters)),
        "cut": reasons.count("length"),
        "errors": reasons.count("error"),
        "expects_json": all(answer is not None for answer in answers),
        **against_most_common(texts, right),
        "row_right": packed(right),
        "row_digest": row_digest((question.instruction, question.gold_text) for question, _ in pairs),
    }


def _share(name: str, share: Interval) -> dict[str, float]:
    return {name: share.value, f"{name}_low": share.low, f"{name}_high": share.high}


def is_right(question: Question, response: Response) -> bool:
    """Return whether `response` is the expected answer; a failed request never is."""
    right = (question.expected, *question.others)
    return response.finish_reason != "error" and any(exact_match(response.text, one) for one in right)


def examples(questions: Sequence[Question], responses: Sequence[Response], each: int) -> list[dict[str, str]]:
    """Return the first `each` wrong answers of every test set."""
    by_set: dict[str, list[dict[str, str]]] = {}
    for question, response in zip(questions, responses, strict=True):
        wrong = by_set.setdefault(question.set, [])
        if len(wrong) < each and not is_right(question, response):
            wrong.append(
                {
                    "set": question.set,
                    "instruction": question.instruction,
                    "expected": question.gold_text,
                    "answer": response.text,
                    "finish_reason": response.finish_reason,
                }
            )
    return [example for wrong in by_set.values() for example in wrong]
