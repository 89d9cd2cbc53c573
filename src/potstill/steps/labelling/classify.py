"""Zero-shot classification by a teacher: calibrated probabilities of each label's text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, MinLen

from potstill.engine.step import Estimate, Placement, Rows
from potstill.errors import PotstillError, Problem
from potstill.labelling.calibration import average, calibrate_members, probabilities, text_score
from potstill.labelling.vote import majority
from potstill.models.chat import Messages
from potstill.models.edge import Model
from potstill.prompts import Template, render, rendered, required_variables
from potstill.steps.generation.base import AskingStep
from potstill.steps.generation.constraints import held_to
from potstill.steps.labelling.ensemble_query import Job, Panel, panel_problems
from potstill.steps.rows.added import added
from potstill.teachers.cache.parse_retry import UNREADABLE, Question, Tries, asked, lose_once, row_name
from potstill.teachers.cache.response_cache import as_teacher, lose_error, request_seed
from potstill.teachers.ensemble import Ensemble, as_ensemble, scores
from potstill.teachers.placement import placed
from potstill.teachers.protocol import Request, Response, Sampling
from potstill.text.choice import ChoiceReader

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.teachers.protocol import TeacherSource

SCORING = Sampling(max_tokens=1)
"""Nothing is drawn."""
Ways = Sequence[Sampling | None]
"""How each member chooses; None scores."""


class ClassifyWithTeacher(AskingStep):
    """Gives every row the label whose text the teacher finds most probable as the whole answer.

    Each label's text is scored as the response, its end included, so labels of several tokens and labels that start
    alike are compared exactly. The teacher's prior preference for some labels is calibrated away with content-free
    inputs (Zhao et al. 2021, arXiv 2102.09690). New columns: `label`, `confidence`, `probabilities` (by label); with
    several teachers `votes` (each member's label).

    A teacher that can't score given text (a served one, an API) answers with a label instead, with constrained decoding
    where it can: one greedy answer a row, read as `StructuredGeneration` reads a choice, asked again where it is not
    clear, and lost with the reason after `max_tries`. With more `samples` its probabilities are the shares of its clear
    choices.

    >>> from potstill.teachers.transformers import Transformers
    >>> rows = LoadRows([{"instruction": "turn on the lamp"}])
    >>> step = ClassifyWithTeacher(rows, teacher=Transformers(student), classes=("command", "question"))
    >>> show(Select(step, ["instruction", "label"]))
    {'instruction': 'turn on the lamp', 'label': ...}
    """

    version: ClassVar[int] = 5  # an answer that speaks of itself is no choice

    rows: Rows
    """What is to be classified."""
    _: KW_ONLY
    teacher: Model | list[Model]
    """Who classifies: one teacher, a list of them (their probabilities are averaged), or an `Ensemble`."""
    classes: tuple[str, ...] | dict[str, str]
    """The labels; a dict gives each label the text that the teacher would answer with (and counts as sorted, because
    its order is no part of a key)."""
    text: Annotated[str, MinLen(1)] = "instruction"
    """Column of the text; the template sees it as `instruction`."""
    prompt: Template = "classify.jinja"
    """Turns a row, and `classes` (the labels' texts), into a chat."""
    length: Literal["sum", "mean"] = "sum"
    """`sum` compares the probabilities of whole texts; `mean` those of a token on average, for labels of very unequal
    length in free prompts."""
    content_free: tuple[str, ...] = ("N/A", "[MASK]", "")
    """Inputs without content, put in the place of every column that the prompt shows (the paper's three); none leaves
    the probabilities as they are."""
    samples: Annotated[int, Ge(1)] = 1
    """Choices of a teacher that can't score: one is greedy, several are drawn at temperature 1."""
    max_tokens: Annotated[int, Ge(1)] = 64
    """Longest answer of a teacher that can't score, and can't be held to the labels."""
    max_tries: Annotated[int, Ge(1)] = 3
    """Times the one answer is asked for where it is not clear; after the greedy one, at temperature 0.7."""

    def placement(self) -> Placement:
        """Return where the teachers run: in the process of the run if none of them loads a model there."""
        return placed(as_ensemble(self.teacher), super().placement())

    def check(self) -> Iterable[Problem]:
        """Yield what is wrong with the teacher or the labels."""
        yield from panel_problems(as_ensemble(self.teacher, "average"))
        texts = list(self._texts().values())
        if len(texts) < 2 or len(set(texts)) < len(self.classes):
            yield Problem("", "classes", f"needs at least two labels, each with a text of its own, got {self.classes}")
        if not all(texts):
            yield Problem("", "classes", "a label's text is empty: give the text that the teacher would answer with")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the variables of the prompt template."""
        return {"rows": tuple(self.text if name == "instruction" else name for name in self._shown())}

    def columns(self, inputs: Mapping[str, frozenset[str] | None]) -> frozenset[str] | None:
        """Return the columns of the rows and the new ones.

        Raises:
            BadInput: the rows have one of these already.
        """
        rows = inputs.get("rows")
        several = len(as_ensemble(self.teacher).members) > 1
        new = ("label", "confidence", "probabilities", *(("votes",) if several else ()))
        return added(self, rows, new, given=("classes",))

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Count a request for each label, or for each choice."""
        count = rows.get("rows")
        ensemble = as_ensemble(self.teacher, "average")
        asked = ensemble.members[:1] if ensemble.how == "round_robin" else ensemble.members
        each = sum(len(self.classes) if scores(member) else self.samples for member in asked)
        calls = 0 if count is None else count * each
        return Estimate(count, calls, calls * 2 * self.max_tokens, (count or 0) * 8 * len(self.classes))

    def run(
        self, rows: Dataset, teacher: TeacherSource | Ensemble | Sequence[TeacherSource], context: Context
    ) -> Iterator[dict[str, Any]]:
        """Yield the labelled rows in order."""
        ensemble = as_ensemble(teacher, "average")
        panel = Panel([as_teacher(member) for member in ensemble.members], ensemble.how, context)
        ways = [self._way(member) for member in panel.teachers]
        context.notes["classes"] = list(self._texts())
        if len(ways) == 1 and ways[0] is not None and self.samples == 1:
            yield from self._one_answer(rows, panel.teachers[0], ways[0], context)
            return
        jobs = _Jobs(self, rows, panel, ways, context)
        biases: list[list[list[float]]] = [[] for _ in panel.teachers]
        scored = (len(rows) + len(self.content_free)) * len(self.classes)
        for job, responses in panel.answers(jobs, len(rows) * self.samples if ways[0] else scored):
            if _lost(job, responses, context):
                continue
            by_member = self._members(job, responses, ways, context)
            if not job.row:
                for member, shares in by_member.items():
                    biases[member].append(shares)
            elif calibrated_shares := calibrate_members(by_member, biases):
                context.ledger.keep()
                yield {**job.row, **self._columns(calibrated_shares, panel.names, ensemble)}
            else:
                context.ledger.lose(job.name, "permanent", UNREADABLE, responses[0].text)

    def _one_answer(
        self, rows: Dataset, teacher: TeacherSource, way: Sampling, context: Context
    ) -> Iterator[dict[str, Any]]:
        """Yield the rows with the one label that the teacher answers."""
        labels = {text: label for label, text in self._texts().items()}
        tries = Tries(way, self.max_tries, self.seed)
        questions = self._questions(rows, context)
        for row, (answer,) in asked(teacher, questions, self._reader.read, tries, context, len(rows)):
            context.ledger.keep()
            label = labels[answer.value]
            shares = {name: float(name == label) for name in self._texts()}
            yield {**row, "label": label, "confidence": 1.0, "probabilities": shares}

    def _questions(self, rows: Dataset, context: Context) -> Iterator[Question[dict[str, Any]]]:
        """Yield what is asked about each row; those that don't fit the prompt are lost."""
        unfit: set[str] = set()
        for number, row in enumerate(rows):
            chat = rendered(self.prompt, self._given(row))
            if isinstance(chat, list):
                yield Question(row, row_name(row, number), (chat,))
            else:
                lose_once(context, row_name(row, number), chat, unfit)

    @property
    def _reader(self) -> ChoiceReader:
        """Return what reads a label's text in an answer."""
        return ChoiceReader(tuple(self._texts().values()))

    def _texts(self) -> dict[str, str]:
        """Return the text of each label, in the order of the probabilities."""
        if isinstance(self.classes, Mapping):
            return dict(sorted(self.classes.items()))
        return {label: label for label in self.classes}

    def _shown(self) -> tuple[str, ...]:
        """Return the columns that the prompt shows."""
        return tuple(name for name in required_variables(self.prompt) if name != "classes")

    def _way(self, teacher: object) -> Sampling | None:
        """Return how a teacher chooses a label; None if it scores the labels' texts."""
        if scores(teacher):
            return None
        texts = tuple(self._texts().values())
        form = held_to(texts, teacher)
        longest = max(len(text.encode()) for text in texts) + 1  # no text has more tokens than bytes
        temperature = 1.0 if self.samples > 1 else 0.0
        return Sampling(temperature, max_tokens=longest if form else max(longest, self.max_tokens), structured=form)

    def _given(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the prompt shows of a row, with the classes."""
        shown = {"instruction": row[self.text]} if self.text in row else {}
        return {**row, **shown, "classes": list(self._texts().values())}

    def _asked(self, member: int, way: Sampling | None, messages: Messages) -> Iterator[tuple[int, Request]]:
        """Yield the requests to one member about one chat."""
        if way is None:
            yield from ((member, Request(messages, SCORING, continuation=text)) for text in self._texts().values())
            return
        for draw in range(self.samples):
            yield member, Request(messages, way, request_seed(self.seed, messages, draw))

    def _members(self, job: Job, responses: Sequence[Response], ways: Ways, context: Context) -> dict[int, list[float]]:
        """Return the probabilities of the labels by member; none for one that chose no label."""
        texts = list(self._texts().values())
        by_member: dict[int, list[float]] = {}
        for member in dict.fromkeys(member for member, _ in job.asked):
            own = [r for (asked, _), r in zip(job.asked, responses, strict=True) if asked == member]
            if ways[member] is None:
                by_member[member] = probabilities([text_score(_token_logprobs(r), self.length) for r in own])
            else:
                chosen = [text for text in map(self._choice, own) if text is not None]
                context.notes["unclear_choices"] = context.notes.get("unclear_choices", 0) + len(own) - len(chosen)
                by_member[member] = [chosen.count(text) / len(chosen) for text in texts] if chosen else []
        return by_member

    def _choice(self, response: Response) -> str | None:
        """Return the label's text that a response clearly names, or None."""
        try:
            return self._reader.read(response.text) if response.finish_reason == "stop" else None
        except ValueError:
            return None

    def _columns(self, shares: Mapping[int, list[float]], names: Sequence[str], ensemble: Ensemble) -> dict[str, Any]:
        """Return the new columns of a row."""
        labels = list(self._texts())
        choices = {member: labels[max(range(len(labels)), key=own.__getitem__)] for member, own in shares.items()}
        mean = average(list(shares.values()))
        if ensemble.how == "vote":
            vote = majority(list(choices.values()))
            assert vote is not None  # there is a member
            label, confidence = vote.answer, vote.confidence
        else:
            label, confidence = max(zip(labels, mean, strict=True), key=lambda pair: pair[1])
        votes = [{"teacher": names[member], "label": choice} for member, choice in choices.items()]
        new = {"label": label, "confidence": confidence, "probabilities": dict(zip(labels, mean, strict=True))}
        return new if len(names) == 1 else {**new, "votes": votes}


@dataclass(frozen=True)
class _Jobs(Iterable[Job]):
    """The content-free inputs (jobs without a row), then the rows; those that don't fit are lost, once."""

    step: ClassifyWithTeacher
    rows: Dataset
    panel: Panel
    ways: Ways
    context: Context
    unfit: set[str] = field(default_factory=set)  # lost already

    def __iter__(self) -> Iterator[Job]:
        step = self.step
        scorers = [member for member, way in enumerate(self.ways) if way is None]
        for text in step.content_free if scorers else ():
            messages = render(step.prompt, step._given(dict.fromkeys(step._shown(), text)))
            asked = [one for member in scorers for one in step._asked(member, None, messages)]
            yield Job(f"content-free input {text!r}", {}, tuple(asked))
        for number, row in enumerate(self.rows):
            chat = rendered(step.prompt, step._given(row))
            if not isinstance(chat, list):
                lose_once(self.context, row_name(row, number), chat, self.unfit)
                continue
            members = self.panel.everyone or (self.panel.member_of(chat),)
            asked = [one for member in members for one in step._asked(member, self.ways[member], chat)]
            yield Job(str(row.get("id", number)), row, tuple(asked))


def _token_logprobs(response: Response) -> list[float]:
    """Return the log-probabilities of a scored text's tokens.

    Raises:
        PotstillError: the teacher gave none.
    """
    if response.token_logprobs is None:
        raise PotstillError("the teacher gave no log-probabilities of a given text: set gives_scores = False on it")
    return [float(value) for value in response.token_logprobs]


def _lost(job: Job, responses: Sequence[Response], context: Context) -> bool:
    """Record a failed job; return whether it failed.

    Raises:
        PotstillError: a content-free input failed, without which no row can be calibrated.
    """
    failed = next((response for response in responses if response.finish_reason == "error"), None)
    if failed is None:
        return False
    if not job.row:
        raise PotstillError(f"the teacher failed on the {job.name}: {failed.text}; run again, or set content_free=()")
    lose_error(context, job.name, failed)
    return True
