"""How far a student agrees with its teacher: in the answers that both write, and token by token on the same text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

from annotated_types import Ge

from potstill.engine.step import Estimate, Output, Rows, Step
from potstill.errors import BadInput, Problem, TooManyLost
from potstill.metrics.agreement import TokenAgreement, same_tokens, token_agreement
from potstill.metrics.answers import exact_match, packed, row_digest, wilson
from potstill.metrics.kept_rows import write
from potstill.models.edge import Model
from potstill.models.preload import ENGINE
from potstill.prompts import Chat, Template, rendered
from potstill.publishing.trackers import send
from potstill.steps.evaluation.evaluated_model import teacher_for
from potstill.steps.evaluation.evaluation_sets import by_name, missing_sets
from potstill.steps.evaluation.exports import export_problems
from potstill.steps.labelling.score import scorer_problems
from potstill.steps.rows.prompt_columns import prompt_columns
from potstill.teachers.cache.response_cache import Asker
from potstill.teachers.protocol import Request, Sampling

if TYPE_CHECKING:
    from datasets import Dataset
    from numpy.typing import NDArray

    from potstill.engine.context import Context
    from potstill.teachers.protocol import Response, TeacherSource

_FIGURES: dict[str, Callable[[TokenAgreement], NDArray[Any]]] = {
    "kl": lambda one: one.kl,
    "top1": lambda one: one.top1,
    "mass": lambda one: one.mass,
}
"""Figures of a text's tokens [T]."""


@dataclass(frozen=True)
class _Row:
    """A test row."""

    set: str
    """Name of the test set."""
    id: str
    """Id of the row."""
    asked: str
    """The last message of the chat."""
    chat: Chat
    """What both models are asked."""


@dataclass(frozen=True)
class _Compared:
    """What two models make of one row."""

    answers: tuple[str, str]
    """Of the teacher and the student."""
    tokens: TokenAgreement | None
    """Their distributions on the teacher's answer; `None` where they do not read the same tokens."""

    @property
    def is_same(self) -> bool:
        """Return whether both answer alike."""
        return exact_match(self.answers[1], self.answers[0])


class EvaluateAgreement(Step):
    """Measure how far a student agrees with its teacher, where no right answers are needed.

    Both answer each row greedily: `agreement` is the share of equal answers (the same text or JSON value), and
    `same_tokens` of equal tokens, place by place. Then both read the teacher's answer: `top1` is the share of its
    tokens at which their most probable one is the same, `kl` the divergence of the student's distribution from the
    teacher's, in nats a token, over the `top_k` entries that both have and the rest together: a lower bound of the
    whole one. `mass` is the teacher's probability that is looked at. Students with another tokenizer have the first
    two figures only.

    S. Stanton, P. Izmailov, P. Kirichenko, A. A. Alemi and A. G. Wilson, "Does knowledge distillation really work?"
    (2021, arXiv 2106.05945), section 3: top-1 agreement and predictive KL.

    >>> rows = LoadRows([{"instruction": "turn on the light", "output": ""}])
    >>> EvaluateAgreement(student, rows, teacher=teacher)
    <EvaluateAgreement unnamed, a step that has not run>
    """

    model: Model
    """The student: a step that makes a model, a local folder, a Hub id, or a teacher."""
    rows: Rows | Mapping[str, Rows]
    """Test rows; several sets by name, or one, which is then called `test`."""
    _: KW_ONLY
    teacher: Model
    """Who it is compared with."""
    prompt: Template = "answer.jinja"
    """Template that turns a row into a chat."""
    max_tokens: Annotated[int, Ge(1)] = 128
    """Longest answer, in tokens."""
    top_k: Annotated[int, Ge(1)] = 64
    """Entries a token that are compared; the divergence nears the whole one as `mass` nears 1."""

    makes: ClassVar[str] = "metrics"
    send_results = send
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ENGINE

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the test sets or one of the models."""
        yield from missing_sets(self.rows)
        for name, model in (("model", self.model), ("teacher", self.teacher)):
            if isinstance(model, (Step, Output, str)):
                yield from export_problems(model, "language models", type(self).__name__)
            elif hasattr(model, "open"):
                yield from (Problem("", name, one.message) for one in scorer_problems(model, self.top_k))

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns that the template uses."""
        return {"rows": prompt_columns(self.prompt)}

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Return four requests a row."""
        count = rows.get("rows") or 0
        return Estimate(calls=4 * count, tokens=4 * count * self.max_tokens)

    def run(
        self, model: TeacherSource, rows: Dataset | Mapping[str, Dataset], teacher: TeacherSource, context: Context
    ) -> dict[str, Any]:
        """Compare `model` with `teacher` on `rows`.

        Raises:
            BadInput: a set without rows, or a row that is no question; all of them together.
            TooManyLost: one of both failed for a row.
        """
        asked = self._rows(by_name(rows))
        first, second = teacher_for(teacher), teacher_for(model)
        # one model is loaded at a time
        with Asker(first, context) as asker:
            answers = self._answers(asker, asked)
            read = self._read(asker, asked, answers)
        with Asker(second, context) as asker:
            others = self._answers(asker, asked)
            other_read = self._read(asker, asked, answers)
        pairs = zip(answers, others, read, other_read, strict=True)
        compared = [_Compared((a.text, b.text), _tokens(one, other)) for a, b, one, other in pairs]
        context.ledger.keep(len(asked))
        token_shares = [_token_share(a, b) for a, b in zip(answers, others, strict=True)]
        _write(context, asked, compared, token_shares)
        sets = {name: _figures(name, asked, compared, token_shares) for name in dict.fromkeys(row.set for row in asked)}
        return {"sets": sets, "teacher": first.label, "engine": {"teacher": type(second).__name__, "top_k": self.top_k}}

    def _rows(self, sets: Mapping[str, Dataset]) -> list[_Row]:
        """Return the questions of all test sets."""
        problems = [f"the test set {name!r} has no rows: give at least one" for name in sets if not len(sets[name])]
        asked: list[_Row] = []
        for name, rows in sets.items():
            for number, row in enumerate(cast("Iterable[dict[str, Any]]", rows)):
                row_id, chat = str(row.get("id", number)), rendered(self.prompt, row)
                if isinstance(chat, list):
                    asked.append(_Row(name, row_id, chat[-1]["content"], chat))
                else:
                    problems.append(f"row {row_id!r} of the test set {name!r}: {chat.reason}")
        if problems:
            raise BadInput(*problems)
        return asked

    def _answers(self, asker: Asker, rows: Sequence[_Row]) -> list[Response]:
        """Return the greedy answers."""
        # with the most probable token, so that the tokens themselves come along
        sampling = Sampling(max_tokens=self.max_tokens, top_k=1)
        return _responses(asker, [Request(row.chat, sampling) for row in rows])

    def _read(self, asker: Asker, rows: Sequence[_Row], answers: Sequence[Response]) -> list[Response]:
        """Return what a model says of the tokens of the teacher's answers."""
        sampling = Sampling(max_tokens=1, top_k=self.top_k)
        pairs = zip(rows, answers, strict=True)
        return _responses(asker, [Request(row.chat, sampling, continuation=answer.text) for row, answer in pairs])


def _responses(asker: Asker, requests: Sequence[Request]) -> list[Response]:
    """Return the responses.

    Raises:
        TooManyLost: one failed.
    """
    answered = (response for _, response in asker.ask(enumerate(requests), len(requests)))
    # an answer without text is one, too
    responses = [replace(one, text="", finish_reason="stop") if one.unusable else one for one in answered]
    failed = [response.text for response in responses if response.finish_reason == "error"]
    if failed:
        raise TooManyLost(
            f"a model failed for {len(failed)} of {len(responses)} rows, the first time with: {failed[0]}; all other "
            "answers are kept"
        )
    return responses


def _tokens(first: Response, second: Response) -> TokenAgreement | None:
    """Return how far distributions agree, where both models read the same tokens and name others."""
    ids, others = first.token_ids, second.token_ids
    if ids is None or others is None or len(ids) != len(others) or not bool((ids == others).all()):
        return None
    if first.top_ids is None or first.top_logprobs is None or second.top_ids is None or second.top_logprobs is None:
        return None
    return token_agreement(first.top_ids, first.top_logprobs, second.top_ids, second.top_logprobs)


def _token_share(first: Response, second: Response) -> float | None:
    """Return the share of tokens of two answers that are the same; `None` where a teacher names none."""
    if first.token_ids is None or second.token_ids is None:
        return None
    return same_tokens(first.token_ids.tolist(), second.token_ids.tolist())


def _figures(
    name: str, rows: Sequence[_Row], compared: Sequence[_Compared], shares: Sequence[float | None]
) -> dict[str, Any]:
    """Return the figures of one test set; those of tokens have errors clustered by row."""
    from potstill.metrics.uncertainty.means import mean_interval

    places = [place for place, row in enumerate(rows) if row.set == name]
    same = [compared[place].is_same for place in places]
    share = wilson(sum(same), len(same))
    figures: dict[str, Any] = {
        "n": len(places),
        "agreement": share.value,
        "agreement_low": share.low,
        "agreement_high": share.high,
    }
    both = [share_here for place in places if (share_here := shares[place]) is not None]
    figures["same_tokens"] = sum(both) / len(both) if both else None
    read = [(place, one) for place in places if (one := compared[place].tokens) is not None]
    for figure, values_of in _FIGURES.items():
        values = [float(value) for _, one in read for value in values_of(one)]
        clusters = [place for place, one in read for _ in range(len(one.kl))]
        mean = mean_interval(values, clusters) if values else None
        figures[figure] = None if mean is None else mean.value
        has_ends = mean is not None and len(read) > 1
        if figure != "mass" and mean is not None and has_ends:
            top = 1.0 if figure == "top1" else float("inf")
            figures |= {f"{figure}_low": max(0.0, mean.low), f"{figure}_high": min(top, mean.high)}
    figures["tokens"] = sum(len(one.kl) for _, one in read)
    digest = row_digest(rows[place].asked for place in places)
    return figures | {"row_right": packed(same), "row_digest": digest}


def _write(
    context: Context, rows: Sequence[_Row], compared: Sequence[_Compared], shares: Sequence[float | None]
) -> None:
    """Write all rows."""
    texts = dict.fromkeys(("id", "set", "input", "gold", "answer"), "text")
    numbers = ("score_same_tokens", *(f"score_{name}" for name in _FIGURES))
    records = [
        {
            "id": row.id,
            "set": row.set,
            "input": row.asked,
            "gold": one.answers[0],
            "answer": one.answers[1],
            "correct": one.is_same,
            "score_same_tokens": share,
            **{
                f"score_{name}": None if one.tokens is None else float(values_of(one.tokens).mean())
                for name, values_of in _FIGURES.items()
            },
        }
        for row, one, share in zip(rows, compared, shares, strict=True)
    ]
    write(context.out, {**texts, "correct": "flag", **dict.fromkeys(numbers, "number")}, records)
