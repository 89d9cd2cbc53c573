"""Log-probabilities of given text under a teacher, and its distributions at every token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from potstill.engine.step import Estimate
from potstill.errors import PotstillError, Problem
from potstill.prompts import rendered
from potstill.steps.labelling.pseudo_label import Mass, token_labels
from potstill.steps.labelling.scoring_base import GivenTextStep, given_text
from potstill.steps.rows.added import added
from potstill.teachers.cache.parse_retry import lose_unfit
from potstill.teachers.cache.response_cache import Asker, as_teacher, lose_error, teacher_problems
from potstill.teachers.cache.soft_labels import HIDDEN_COLUMNS, TOP_COLUMNS, bytes_per_token, sidecar_of
from potstill.teachers.ensemble import scores
from potstill.teachers.protocol import Request, Response, Sampling

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource

TOKENS = 256
"""Tokens of a text that estimates assume."""
Scored = Iterator[tuple[str, dict[str, Any], Response]]


class ScoreText(GivenTextStep):
    """Scores a given answer to every row: its log-probability under the teacher.

    New columns: `logprob` (of the whole answer and its end, natural logarithm), `tokens`, `mean_logprob` (of a token;
    its negative's exponential is the perplexity).

    >>> from potstill.teachers.transformers import Transformers
    >>> rows = LoadRows([{"instruction": "Hi", "output": "Hello"}, {"instruction": "Hi", "output": "xq zw"}])
    >>> scores = ScoreText(rows, teacher=Transformers(student))
    >>> show(Select(scores, ["output", "tokens"]))
    {'output': 'Hello', 'tokens': ...}
    {'output': 'xq zw', 'tokens': ...}
    """

    version: ClassVar[int] = 2  # a null is no text of a prompt

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher."""
        yield from scorer_problems(self.teacher)

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already.
        """
        rows = inputs.get("rows")
        return added(self, rows, ("logprob", "tokens", "mean_logprob"))

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume answers of `TOKENS` tokens."""
        return scoring_estimate(rows.get("rows"), 0)

    def run(self, rows: Dataset, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows in order."""
        for _, row, response in scored(rows, teacher, self.prompt, self.column, 0, context):
            if response.token_logprobs is None:
                raise PotstillError("the teacher gave no log-probabilities of the given text: take VLLM")
            # float64: a sum of many float32 log-probabilities loses digits with the length
            total, count = float(response.token_logprobs.sum(dtype="float64")), len(response.token_logprobs)
            context.ledger.keep()
            yield {**row, "logprob": total, "tokens": count, "mean_logprob": total / count}


class SoftLabels(GivenTextStep):
    """Has the teacher read the given answers, and keeps its most probable next tokens at every token of them.

    For answers that another model or a person wrote; a teacher that writes the answers itself gives its soft labels in
    the same pass, with `PseudoLabel(top_k=...)`. The answer is tokenized with the teacher's tokenizer, the end of turn
    included. Soft labels that the rows have already are replaced.

    >>> from potstill.teachers.transformers import Transformers
    >>> rows = LoadRows([{"instruction": "Hi", "output": "Hello"}])
    >>> show(SoftLabels(rows, teacher=Transformers(student), top_k=2))
    {'instruction': 'Hi', 'output': 'Hello', 'teacher_token_ids': b'...', ...,"mode":"scored",...}
    """

    _: KW_ONLY
    top_k: Annotated[int, Ge(1)] = 32
    """Log-probabilities kept a token; on text that it didn't write a teacher is less confident, so 64 may be needed."""

    version: ClassVar[int] = 2  # a null is no text of a prompt

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher."""
        yield from scorer_problems(self.teacher, self.top_k)

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the soft labels."""
        rows = inputs.get("rows")
        return None if rows is None else (rows - set(HIDDEN_COLUMNS)) | set(TOP_COLUMNS)

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume answers of `TOKENS` tokens."""
        return scoring_estimate(rows.get("rows"), bytes_per_token(self.top_k))

    def run(self, rows: Dataset, teacher: TeacherSource, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the rows in order."""
        mass = Mass()
        sidecar = sidecar_of(as_teacher(teacher), prompt=self.prompt, k=self.top_k, mode="scored")
        for _, row, response in scored(rows, teacher, self.prompt, self.column, self.top_k, context):
            labels = token_labels(response, self.top_k)
            mass.add(labels.tail)
            context.ledger.keep()
            yield {**without_soft_labels(row), **labels.columns(sidecar)}
        mass.report(self.top_k, context)


def scored(rows: Dataset, teacher: TeacherSource, prompt: str, column: str, top_k: int, context: Context) -> Scored:
    """Yield (name, row, response) for each row whose text the teacher read; the others go to the ledger."""
    requests = _requests(rows, prompt, column, Sampling(max_tokens=1, top_k=top_k), context)
    with Asker(as_teacher(teacher), context) as asker:
        for (name, row), response in asker.ask(requests, len(rows)):
            if response.finish_reason == "error":
                lose_error(context, name, response)
            else:
                yield name, row, response


def _requests(
    rows: Dataset, prompt: str, column: str, sampling: Sampling, context: Context
) -> Iterator[tuple[tuple[str, dict[str, Any]], Request]]:
    """Yield (name, row) and the request for each row that has a whole answer; the others go to the ledger."""
    for number, row in enumerate(rows):
        name, chat = str(row.get("id", number)), rendered(prompt, row)
        text = given_text(row, prompt, column) if isinstance(chat, list) else None
        if not isinstance(chat, list):
            lose_unfit(context, name, chat)
        elif text is None:
            context.ledger.lose(name, "filtered", f"no {column}")
        elif row.get("finish_reason") == "length" and column == "output":
            context.ledger.lose(name, "filtered", "the answer was cut at the token limit")
        else:
            yield (name, row), Request(chat, sampling, continuation=text)


def without_soft_labels(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without the soft labels that it has."""
    stored = {*TOP_COLUMNS, *HIDDEN_COLUMNS}
    return {name: value for name, value in row.items() if name not in stored}


def scorer_problems(teacher: object, top_k: int = 0) -> Iterator[Problem]:
    """Yield why the value of a `teacher` field can't read given text."""
    yield from teacher_problems(teacher, top_k=top_k)
    if not scores(teacher):
        text = f"{type(teacher).__name__} can't give the log-probabilities of a given text: take VLLM or Transformers"
        yield Problem("", "teacher", text)


def scoring_estimate(count: int | None, bytes_a_token: float) -> Estimate:
    """Return what reading `count` texts costs."""
    if count is None:
        return Estimate()
    return Estimate(count, count, count * 2 * TOKENS, int(count * TOKENS * bytes_a_token))
