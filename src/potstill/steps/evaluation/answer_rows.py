"""Every test row with the model's answer and its scores, kept as a file beside the figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput, Problem
from potstill.metrics.kept_rows import write
from potstill.metrics.measures.by_name import AnyMeasure, measures_of
from potstill.metrics.measures.scoring import score_rows
from potstill.metrics.measures.translation import needs_sacrebleu
from potstill.metrics.translation import missing_sacrebleu
from potstill.steps.evaluation.answer_scores import Question, clusters_of, is_right

if TYPE_CHECKING:
    from potstill.metrics.measures.scoring import Scored
    from potstill.teachers.protocol import Response

PREFIX = "score_"
"""What the columns of scores begin with."""


def measure_problems(measures: Iterable[AnyMeasure]) -> Iterator[Problem]:
    """Yield what is wrong with the value of a field `measures`."""
    try:
        named = measures_of(measures)
    except BadInput as error:
        yield from (Problem("", "measures", problem.message) for problem in error.problems)
        return
    missing = missing_sacrebleu("the measures BLEU, ChrF and TER")
    if missing is not None and any(needs_sacrebleu(measure) for measure in named.values()):
        yield Problem("", "measures", str(missing))


def scored_sets(
    questions: Sequence[Question], responses: Sequence[Response], measures: Sequence[AnyMeasure], clustered: bool
) -> dict[str, Scored]:
    """Return the scores of the answers by test set; a failed request counts as an empty answer."""
    if not measures:
        return {}
    by_set = {}
    for name in dict.fromkeys(question.set for question in questions):
        pairs = [(one, other) for one, other in zip(questions, responses, strict=True) if one.set == name]
        by_set[name] = score_rows(
            measures,
            [_answer(response) for _, response in pairs],
            [question.golds for question, _ in pairs],
            [{**question.columns, "id": question.row} for question, _ in pairs],
            clusters=clusters_of(one for one, _ in pairs) if clustered else None,
        )
    return by_set


def measures_in(scored: Scored | None) -> dict[str, Any]:
    """Return what the figures of a test set hold of its measures: nothing without any."""
    return {} if scored is None else {"measures": scored.figures()}


def write_rows(
    folder: Path, questions: Sequence[Question], responses: Sequence[Response], scored: dict[str, Scored]
) -> None:
    """Write all rows into `folder`; the same rows always give the same bytes."""
    names = list(dict.fromkeys(name for one in scored.values() for name in one.rows))
    texts = ("id", "set", "input", "gold", "answer", "finish_reason", "cluster")
    columns = {
        **dict.fromkeys(texts, "text"),
        **dict.fromkeys(("prompt_tokens", "completion_tokens"), "count"),
        "exact_match": "flag",
        **dict.fromkeys((f"{PREFIX}{name}" for name in names), "number"),
    }
    write(folder, columns, _rows(questions, responses, scored))


def _rows(
    questions: Sequence[Question], responses: Sequence[Response], scored: dict[str, Scored]
) -> Iterator[dict[str, Any]]:
    """Yield the rows in their order."""
    scores = {name: iter(one.table()) for name, one in scored.items()}
    for question, response in zip(questions, responses, strict=True):
        own = next(scores[question.set]) if scores else {}
        yield {
            "id": question.row,
            "set": question.set,
            "input": question.instruction,
            "gold": question.gold_text,
            "answer": response.text,
            "finish_reason": response.finish_reason,
            "cluster": question.cluster,
            "prompt_tokens": response.prompt_tokens,
            "completion_tokens": response.completion_tokens,
            "exact_match": is_right(question, response),
            **{f"{PREFIX}{name}": value for name, value in own.items()},
        }


def _answer(response: Response) -> str:
    return "" if response.finish_reason == "error" else response.text
