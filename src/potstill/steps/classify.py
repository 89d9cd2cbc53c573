"""Classification by a teacher: how probable it finds each label's text, freed of what it prefers anyway."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge

from potstill.asking import lose_once, row_name
from potstill.errors import PotstillError, Problem
from potstill.generate import lose_error, place, request_seed
from potstill.labelling.calibration import average, calibrated, probabilities, text_score
from potstill.labelling.vote import majority
from potstill.prompts import Template, render, rendered, required_variables
from potstill.step import Estimate, Model, Rows
from potstill.steps.bases.added import added
from potstill.steps.bases.teacher import AskingStep
from potstill.steps.choices import held_to
from potstill.steps.panel import Job, Panel, panel_problems
from potstill.teachers.ensemble import Ensemble, as_ensemble, scores
from potstill.teachers.protocol import Messages, Request, Response, Sampling

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.context import Context

SCORING = Sampling(max_tokens=1)
"""Nothing is drawn."""
Ways = Sequence[Sampling | None]
"""How each member chooses; None scores."""


class ClassifyWithTeacher(AskingStep):
    """Gives every row the label whose text the teacher finds most probable as the whole answer.

    Each label's text is scored as the response, its end included, so labels of several tokens and labels that start
    alike are compared exactly. What the teacher prefers whatever it reads is taken out with content-free inputs (Zhao
    et al. 2021, arXiv 2102.09690). New columns: `label`, `confidence`, `probabilities` (by label);
    with several teachers `votes` (each member's label).

    A teacher that can't score given text (a served one) chooses `samples` times among the labels instead, held to them
    by structured decoding where it can be; its probabilities are the shares of its choices, not calibrated.

    >>> from potstill.teachers.transformers import Transformers
    >>> rows = LoadRows([{"instruction": "turn on the lamp"}])
    >>> step = ClassifyWithTeacher(rows, teacher=Transformers(student), classes=("command", "question"))
    >>> show(Select(step, ["instruction", "label"]))
    {'instruction': 'turn on the lamp', 'label': ...}
    """

    version: ClassVar[int] = 3  # thoughts are no part of an answer

    rows: Rows
    """What is to be classified."""
    _: KW_ONLY
    teacher: Model | list[Model]
    """Who classifies: one teacher, a list of them (their probabilities are averaged), or an `Ensemble`."""
    classes: tuple[str, ...] | dict[str, str]
    """The labels; a dict gives each label the text that the teacher would answer with (and counts as sorted, because
    its order is no part of a key)."""
    prompt: Template = "classify.jinja"
    """Turns a row, and `classes` (the labels' texts), into a chat."""
    length: Literal["sum", "mean"] = "sum"
    """`sum` compares the probabilities of whole texts; `mean` those of a token on average, for labels of very unequal
    length in free prompts."""
    content_free: tuple[str, ...] = ("N/A", "[MASK]", "")
    """Inputs without content, put in the place of every column that the prompt shows (the paper's three); none leaves
    the probabilities as they are."""
    samples: Annotated[int, Ge(1)] = 8
    """Choices drawn from a teacher that can't score."""

    def __post_init__(self) -> None:
        """Choose where the step runs."""
        place(self, as_ensemble(self.teacher))

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
        return {"rows": self._shown()}

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
        return Estimate() if count is None else Estimate(count, count * each, disk=count * 8 * len(self.classes))

    def run(self, rows: Dataset, teacher: Any, context: Context) -> Iterator[dict[str, Any]]:
        """Yield the labelled rows in order."""
        ensemble = as_ensemble(teacher, "average")
        panel = Panel(ensemble, context)
        ways = [self._way(member) for member in panel.teachers]
        context.notes["classes"] = list(self._texts())
        biases: list[list[list[float]]] = [[] for _ in panel.teachers]
        unfit: set[str] = set()
        jobs = partial(self._jobs, rows, panel, ways, context, unfit)
        for job, responses in panel.answers(jobs, self._total(len(rows), ways)):
            if _lost(job, responses, context):
                continue
            found = self._members(job, responses, ways)
            if not job.row:
                for member, shares in found.items():
                    biases[member].append(shares)
                continue
            shares_by_member = {
                member: calibrated(shares, biases[member]) if biases[member] else shares
                for member, shares in found.items()
                if shares
            }
            if not shares_by_member:
                context.ledger.lose(job.name, "permanent", "none of the labels chosen", responses[0].text)
                continue
            context.ledger.keep()
            yield {**job.row, **self._columns(shares_by_member, panel.names, ensemble)}

    def _texts(self) -> dict[str, str]:
        """Return the text of each label, in the order of the probabilities."""
        if isinstance(self.classes, Mapping):
            return dict(sorted(self.classes.items()))
        return {label: label for label in self.classes}

    def _shown(self) -> tuple[str, ...]:
        """Return the columns that the prompt shows."""
        return tuple(name for name in required_variables(self.prompt) if name != "classes")

    def _way(self, teacher: Any) -> Sampling | None:
        """Return how a teacher chooses a label; None if it scores the labels' texts."""
        if scores(teacher):
            return None
        texts = tuple(self._texts().values())
        longest = max(len(text.encode()) for text in texts)  # no text has more tokens than bytes
        return Sampling(1.0, max_tokens=longest + 1, structured=held_to(texts, teacher))

    def _total(self, rows: int, ways: Ways) -> int:
        """Return the number of requests, which matters for the progress of one teacher only."""
        return rows * self.samples if ways[0] else (rows + len(self.content_free)) * len(self.classes)

    def _jobs(self, rows: Dataset, panel: Panel, ways: Ways, context: Context, unfit: set[str]) -> Iterator[Job]:
        """Yield the content-free inputs (jobs without a row), then the rows; those that don't fit are lost, once."""
        scorers = [member for member, way in enumerate(ways) if way is None]
        for text in self.content_free if scorers else ():
            messages = render(self.prompt, self._given(dict.fromkeys(self._shown(), text)))
            asked = [one for member in scorers for one in self._asked(member, None, messages)]
            yield Job(f"content-free input {text!r}", {}, tuple(asked))
        for number, row in enumerate(rows):
            chat = rendered(self.prompt, self._given(row))
            if not isinstance(chat, list):
                lose_once(context, row_name(row, number), chat, unfit)
                continue
            asked = [one for member in panel.members(chat) for one in self._asked(member, ways[member], chat)]
            yield Job(str(row.get("id", number)), row, tuple(asked))

    def _given(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the prompt shows of a row, with the classes."""
        return {**row, "classes": list(self._texts().values())}

    def _asked(self, member: int, way: Sampling | None, messages: Messages) -> Iterator[tuple[int, Request]]:
        """Yield the requests to one member about one chat."""
        if way is None:
            texts = self._texts().values()
            yield from ((member, Request(messages, SCORING, continuation=text)) for text in texts)
            return
        for draw in range(self.samples):
            yield member, Request(messages, way, request_seed(self.seed, messages, draw))

    def _members(self, job: Job, responses: Sequence[Response], ways: Ways) -> dict[int, list[float]]:
        """Return the probabilities of the labels by member; none for one that chose no label."""
        texts = list(self._texts().values())
        found: dict[int, list[float]] = {}
        for member in dict.fromkeys(member for member, _ in job.asked):
            own = [r for (asked, _), r in zip(job.asked, responses, strict=True) if asked == member]
            if ways[member] is None:
                found[member] = probabilities([text_score(_token_logprobs(r), self.length) for r in own])
            else:
                chosen = [r.text.strip() for r in own if r.finish_reason == "stop" and r.text.strip() in texts]
                found[member] = [chosen.count(text) / len(chosen) for text in texts] if chosen else []
        return found

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


def _token_logprobs(response: Response) -> list[float]:
    """Return the log-probabilities of a scored text's tokens.

    Raises:
        PotstillError: the teacher gave none.
    """
    if response.token_logprobs is None:
        raise PotstillError("the teacher gave no log-probabilities of a given text: set gives_scores = False on it")
    return [float(value) for value in response.token_logprobs]


def _lost(job: Job, responses: Sequence[Response], context: Context) -> bool:
    """Record a failed job; say whether it failed.

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
