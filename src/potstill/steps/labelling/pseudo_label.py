"""Pseudo-labels by a teacher, with the distributions that they were drawn from (soft labels) in the same pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Interval

from potstill.engine.step import Estimate, Placement, Rows
from potstill.errors import PotstillError, Problem
from potstill.labelling.vote import Vote, answer_in, majority
from potstill.models.edge import Model
from potstill.prompts import Template, rendered, required_variables
from potstill.steps.generation.base import AskingStep
from potstill.steps.labelling.ensemble_query import Job, Panel, panel_problems
from potstill.steps.rows.added import added, answered, with_answer
from potstill.teachers.cache.parse_retry import lose_once, row_name
from potstill.teachers.cache.response_cache import as_teacher, lose_error, request_seed
from potstill.teachers.cache.soft_labels import (
    TOP_COLUMNS,
    Sidecar,
    TokenLabels,
    bytes_per_token,
    own_logprobs,
    sidecar_of,
)
from potstill.teachers.ensemble import as_ensemble
from potstill.teachers.placement import placed
from potstill.teachers.protocol import Request, Response, Sampling
from potstill.text.patterns import SlowPattern, pattern_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datasets import Dataset
    from numpy.typing import NDArray

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource
    from potstill.teachers.ensemble import Ensemble
    from potstill.teachers.protocol import Teacher, TeacherSource

ENOUGH_MASS = 0.98
"""Mean captured probability below which K is too small to stand for the distribution."""
VOTE_COLUMNS = ("answer", "confidence", "votes")


class PseudoLabel(AskingStep):
    """Has the teacher answer every row: `output`, `finish_reason`, and with `top_k` the soft labels.

    Rows that have an `output` already get a new one, and theirs becomes `reference`. An answer that was cut is not a label: the row is lost. With `samples` or several teachers the answers vote, and
    `output` is the first text that gives the answer most of them give (self-consistency: Wang et al. 2023, arXiv
    2203.11171): new columns `answer` (what was voted for), `confidence` (its share of all that was asked; a cut or
    unreadable answer counts as none), `votes` (each answer with its count), and with several teachers `teacher` (who
    wrote the text).

    >>> rows = LoadRows([{"instruction": "turn on the lamp in the kitchen"}])
    >>> show(PseudoLabel(rows, teacher=teacher, prompt="home.jinja", max_tokens=64))
    {'instruction': 'turn on the lamp in the kitchen', 'output': '{"device":"light","room":"kitchen","action":"on","value":null}', 'finish_reason': 'stop'}
    """  # noqa: E501 - a row is printed on one line

    rows: Rows
    """What is to be answered."""
    _: KW_ONLY
    teacher: Model | list[Model]
    """Who answers: one teacher, a list of them (the majority wins), or an `Ensemble`."""
    prompt: Template = "answer.jinja"
    """Turns a row into a chat; students must get the same."""
    top_k: Annotated[int, Ge(0)] = 0
    """Log-probabilities kept a token; 32 to 64 hold nearly all the mass of a trained model, 0 keeps none."""
    samples: Annotated[int, Ge(1)] = 1
    """Answers drawn for each row from each teacher; several need a temperature above 0. Raising it asks for the new
    ones only. Wang et al. drew up to 40 at temperature 0.7; most of the gain came with the first 5 to 10."""
    answer: str = ""
    """Regular expression that finds the answer in the text: the first group of its last match. Empty takes the whole
    text, JSON spelled in one way. A row in whose answers it finds nothing is lost."""
    temperature: Annotated[float, Ge(0)] = 0.0
    """0 takes the most probable answer; with `top_k` only 0 and 1 are allowed."""
    top_p: Annotated[float, Interval(gt=0, le=1)] = 1.0
    """Nucleus mass; with `top_k` only 1 is allowed."""
    max_tokens: Annotated[int, Ge(1)] = 256
    """Longest answer."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer."""
    tokenizer: Model | None = None
    """With `top_k`, the model whose tokenizer numbers the tokens, where the teacher doesn't show it (a served one):
    students are checked against it."""

    reasoning: str = ""
    """Column of what the teacher thought before the answer that is kept; empty leaves the thoughts out."""

    unkeyed_defaults: ClassVar[frozenset[str]] = frozenset({"reasoning"})
    version: ClassVar[int] = 3  # thoughts are no part of an answer

    def placement(self) -> Placement:
        """Return where the teachers run: in the process of the run if none of them loads a model there."""
        return placed(as_ensemble(self.teacher), super().placement())

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher, the sampling or the pattern."""
        yield from panel_problems(as_ensemble(self.teacher), top_k=self.top_k)
        if as_ensemble(self.teacher).how == "average":
            text = "texts have no average: take how='vote' or 'round_robin', or ClassifyWithTeacher"
            yield Problem("", "teacher", text)
        if self.samples > 1 and not self.temperature:
            text = f"is {self.samples} at temperature 0, which gives the same answer each time"
            yield Problem("", "samples", f"{text}: set temperature to 0.7, or samples to 1")
        if why := pattern_problem(self.answer):
            yield Problem("", "answer", why)
        yield from self._soft_problems()

    def _soft_problems(self) -> Iterator[Problem]:
        """Yield a problem if answers are drawn in a way that soft labels don't go with."""
        if self.top_k and (self.temperature not in (0, 1) or self.top_p != 1 or self.stop):
            what = f"temperature={self.temperature:g}, top_p={self.top_p:g}, stop={list(self.stop)}"
            yield Problem(
                "",
                "top_k",
                f"top_k={self.top_k} goes with greedy decoding or plain sampling at temperature 1, got {what}: the "
                "log-probabilities kept are those of temperature 1, and those of another temperature or of a nucleus "
                "can't be made from them, because the mass of the tokens left out is unknown token by token. Set "
                "temperature to 0 or 1, top_p to 1 and no stop, or top_k to 0",
            )

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the variables of the prompt template."""
        return {"rows": required_variables(self.prompt)}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones; an `output` that was there becomes `reference`.

        Raises:
            BadInput: the rows have one of these already.
        """
        rows = inputs.get("rows")
        several = len(as_ensemble(self.teacher).members) > 1
        thoughts = (self.reasoning,) if self.reasoning else ()
        new = ("output", *thoughts, *(TOP_COLUMNS if self.top_k else ()), *(("teacher",) if several else ()))
        new += (*(VOTE_COLUMNS if self._votes() else ()), *(("reference",) if rows and "output" in rows else ()))
        return answered(rows, added(self, rows and rows - {"output"}, new))

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Assume answers of full length: an upper bound."""
        count = rows.get("rows")
        if count is None:
            return Estimate()
        calls = count * self.samples * self._asked()
        soft = bytes_per_token(self.top_k) if self.top_k else 0
        return Estimate(count, calls, calls * 2 * self.max_tokens, int(count * self.max_tokens * (4 + soft)))

    def run(
        self,
        rows: Dataset,
        teacher: TeacherSource | Ensemble | Sequence[TeacherSource],
        context: Context,
        tokenizer: ModelSource | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield the labelled rows in order."""
        ensemble, mass = as_ensemble(teacher), Mass()
        panel = Panel([as_teacher(member) for member in ensemble.members], ensemble.how, context)
        # made once a member, when its first row comes
        sidecar = cache(lambda member: self._sidecar(panel.teachers[member], tokenizer))
        for job, responses in panel.answers(
            _Jobs(self, rows, panel, context), len(rows) * self.samples * self._asked()
        ):
            chosen = self._decide(job, responses, context)
            if chosen is None:
                continue
            number, columns = chosen
            member, response = job.asked[number][0], responses[number]
            if len(panel.teachers) > 1:
                columns["teacher"] = panel.names[member]
            if self.top_k:
                labels = token_labels(response, self.top_k)
                mass.add(labels.tail)
                columns |= labels.columns(sidecar(member))
            context.ledger.keep()
            yield self._row(job.row, response, columns)
        if self.top_k:
            mass.report(self.top_k, context)

    def _row(self, row: Mapping[str, Any], response: Response, more: Mapping[str, Any]) -> dict[str, Any]:
        """Return the row with its answer, `more` columns, the thoughts, and an earlier output as the reference."""
        thoughts = {self.reasoning: response.reasoning} if self.reasoning else {}
        reference = {"reference": row["output"]} if "output" in row else {}
        labelled = with_answer(row, "output", response.text, response.finish_reason)
        return {**labelled, **more, **thoughts, **reference}

    def _asked(self) -> int:
        """Return how many members are asked about a row."""
        ensemble = as_ensemble(self.teacher)
        return 1 if ensemble.how == "round_robin" else len(ensemble.members)

    def _votes(self) -> bool:
        """Return whether answers are compared at all."""
        return self.samples > 1 or self._asked() > 1 or bool(self.answer)

    def _decide(self, job: Job, responses: list[Response], context: Context) -> tuple[int, dict[str, Any]] | None:
        """Return the number of the response to keep, and the columns of the vote; None if the row is lost."""
        failed = next((response for response in responses if response.finish_reason == "error"), None)
        if failed is not None:
            lose_error(context, job.name, failed)
            return None
        if all(response.finish_reason == "length" for response in responses):
            remedy = f"raise max_tokens from {self.max_tokens}"
            context.ledger.lose(job.name, "permanent", "cut at max_tokens", remedy=remedy)
            return None
        if not self._votes():
            return 0, {}
        vote = self._count_votes(job.name, responses, context)
        return None if vote is None else (vote.first, vote.columns())

    def _count_votes(self, name: str, responses: list[Response], context: Context) -> Vote | None:
        """Return what the whole answers vote for; None, and the row `name` is lost, if they say nothing."""
        # a cut answer votes for nothing, but counts in the confidence
        texts = [None if response.finish_reason == "length" else response.text for response in responses]
        try:
            vote = majority([None if text is None else answer_in(text, self.answer) for text in texts])
        except SlowPattern as error:
            context.ledger.lose(name, "permanent", f"the pattern {self.answer!r} takes too long", str(error))
            return None
        if vote is None:
            raw = next(text for text in texts if text is not None)
            context.ledger.lose(name, "permanent", "no answer in the text", raw)
        return vote

    def _sidecar(self, teacher: Teacher, tokenizer: ModelSource | None) -> Sidecar:
        """Return what the soft labels of one member were made from."""
        return sidecar_of(teacher, prompt=self.prompt, k=self.top_k, mode="generated", tokenizer=tokenizer)


@dataclass(frozen=True)
class _Jobs(Iterable[Job]):
    """What is asked about each row that can be put into the prompt; the others are lost, once."""

    step: PseudoLabel
    rows: Dataset
    panel: Panel
    context: Context
    unfit: set[str] = field(default_factory=set)
    """Rows that are lost already."""

    def __iter__(self) -> Iterator[Job]:
        step = self.step
        sampling = Sampling(step.temperature, step.top_p, step.max_tokens, step.stop, step.top_k)
        for number, row in enumerate(self.rows):
            messages = rendered(step.prompt, row)
            if not isinstance(messages, list):
                lose_once(self.context, row_name(row, number), messages, self.unfit)
                continue
            # the first is the one that a single sample would be
            draws = [(messages, draw) if draw else (messages,) for draw in range(step.samples)]
            seeds = [request_seed(step.seed, *draw) if step.temperature > 0 else 0 for draw in draws]
            members = self.panel.everyone or (self.panel.member_of(messages),)
            asked = [(member, Request(messages, sampling, seed)) for member in members for seed in seeds]
            yield Job(str(row.get("id", number)), row, tuple(asked))


def token_labels(response: Response, top_k: int) -> TokenLabels:
    """Return the soft labels of a response.

    Raises:
        PotstillError: the teacher gave none.
    """
    if response.token_ids is None or response.top_ids is None or response.top_logprobs is None:
        raise PotstillError(f"the teacher gave no log-probabilities: it can't be used with top_k={top_k}")
    own = response.token_logprobs
    if own is None:
        own = own_logprobs(response.token_ids, response.top_ids, response.top_logprobs)
    return TokenLabels(response.token_ids, own, response.top_ids, response.top_logprobs)


@dataclass
class Mass:
    """The probability that the kept entries hold, over all tokens."""

    total: float = 0.0
    tokens: int = 0

    def add(self, tail: NDArray[Any]) -> None:
        """Add the tokens of a response by their `tail` [T], the probability of what wasn't kept."""
        self.total += len(tail) - float(tail.sum())
        self.tokens += len(tail)

    def report(self, top_k: int, context: Context) -> None:
        """Note the mean, and warn when it is low."""
        if not self.tokens:
            return
        mean = self.total / self.tokens
        context.notes["captured_mass"] = round(mean, 6)
        if mean < ENOUGH_MASS:
            text = (
                f"top_k={top_k} captures {mean:.3f} of the teacher's probability, less than {ENOUGH_MASS}: "
                "soft labels will be blurred; raise top_k"
            )
            context.notes.setdefault("warnings", []).append(text)
            context.logger.warning(text)
