"""Asking until the answer has the form that is wanted: parsing is apart from generating, and every try is journalled.

Helpers for steps whose teacher must answer in a form; may import the engine and the teachers' protocol.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from potstill import prompts
from potstill.engine.step import Estimate
from potstill.errors import described
from potstill.models.chat import Messages
from potstill.teachers.cache.parsed import storable_value
from potstill.teachers.cache.response_cache import Asker, as_teacher, lose_error, request_seed
from potstill.teachers.protocol import Request, Response, Sampling

if TYPE_CHECKING:
    from potstill.engine.context import Context
    from potstill.prompts.values import UnfitRow
    from potstill.teachers.protocol import TeacherSource

RETRY_TEMPERATURE = 0.7
"""Least temperature of a second try: greedy decoding would only write the same again."""
CUT = "cut at max_tokens"
"""Ledger's reason for an answer that has no end."""
UNREADABLE = "answer does not parse"
"""Ledger's reason for an answer that has not the form wanted, in any try."""

Tag = TypeVar("Tag")
Value = TypeVar("Value")
Attempt = tuple["_Open[Tag, Value]", int, int]
"""(question, number of the chat, number of the try)."""


Chats = tuple["Messages | UnfitRow", ...]
"""What a teacher is asked, or why a row can't be put into a prompt."""


@dataclass(frozen=True)
class Question(Generic[Tag]):
    """What a row wants to know; it is answered when all its chats are."""

    tag: Tag
    """Comes back with the answers: usually the row."""
    name: str
    """The row's name in the ledger."""
    chats: Chats
    """What the teacher is asked; with none, the question is answered at once. One that can't be asked is lost."""
    sample: int = 0
    """Number of this answer among several to the same chats: each is drawn with another seed."""


@dataclass(frozen=True)
class Tries:
    """How a question is asked, and how often."""

    sampling: Sampling
    """How the first try is drawn; later ones at `RETRY_TEMPERATURE` at least."""
    most: int = 1
    """Tries for an answer that is cut, does not parse, or holds nothing that can be used."""
    seed: int = 0
    """Of all draws."""
    keep_cut: bool = False
    """Whether an answer cut at `max_tokens` counts as one."""


@dataclass(frozen=True)
class Answer(Generic[Value]):
    """An answer that has the form wanted."""

    value: Value
    """What the parser made of it."""
    text: str
    """What the teacher wrote."""
    finish_reason: str
    """`stop`, or `length` where cut answers count."""
    tries: int = 1
    """How many it took."""
    reasoning: str = ""
    """The teacher's reasoning before it, where it is given."""


Answered = Iterator[tuple[Tag, tuple[Answer[Value], ...]]]
"""(tag, an answer a chat) of each question."""


def as_text(text: str) -> str:
    """Take the answer as it is: the parser of steps that want no form."""
    return text


def asked(
    teacher: TeacherSource | Asker,
    questions: Iterable[Question[Tag]],
    parse: Callable[[str], Value],
    tries: Tries,
    context: Context,
    total: int | None = None,
) -> Answered[Tag, Value]:
    """Yield (tag, answers) in the order of `questions`; those that end without an answer are lost in the ledger.

    `teacher` may be an `Asker`, for several rounds with one teacher: it is then left open. `parse` gets the text of an
    answer and raises if it has not the form wanted. Such an answer, and one that is cut, is asked for again, among the
    questions that follow, so that the teacher's batch stays full. After `tries.most` the question is lost for good,
    and what the teacher wrote stands in the ledger.
    """
    with nullcontext(teacher) if isinstance(teacher, Asker) else Asker(as_teacher(teacher), context) as asker:
        yield from _QuestionQueue(asker, iter(questions), parse, tries, context).answered(total)


@dataclass
class _Open(Generic[Tag, Value]):
    """A question that waits for answers."""

    question: Question[Tag]
    answers: list[Answer[Value] | None]
    unsettled: int
    lost: bool = False
    unread: list[str] = field(default_factory=list)


@dataclass(eq=False)
class _QuestionQueue(Generic[Tag, Value]):
    """Questions in order, an iterator over their requests that has more of them when an answer must be asked again."""

    asker: Asker
    questions: Iterator[Question[Tag]]
    parse: Callable[[str], Value]
    tries: Tries
    context: Context
    open: deque[_Open[Tag, Value]] = field(default_factory=deque)
    to_ask: deque[Attempt[Tag, Value]] = field(default_factory=deque)

    def answered(self, total: int | None) -> Answered[Tag, Value]:
        """Yield the answers in the order of the questions."""
        # `ask` has drained this iterator when the last answers came in; those that must be asked again start it once
        # more
        while True:
            for attempt, response in self.asker.ask(self, total):
                self._settle(attempt, response)
                yield from self._finished()
            yield from self._finished()
            if not self.to_ask:
                return

    def __iter__(self) -> Iterator[tuple[Attempt[Tag, Value], Request]]:
        """Return itself: after its end it may have requests again."""
        return self

    def __next__(self) -> tuple[Attempt[Tag, Value], Request]:
        """Return the next request: one that is asked again goes first."""
        while not self.to_ask:
            question = next(self.questions)
            unfit = next((chat for chat in question.chats if not isinstance(chat, list)), None)
            if unfit is not None:
                lose_unfit(self.context, question.name, unfit)
                continue
            count = len(question.chats)
            entry: _Open[Tag, Value] = _Open(question, [None] * count, count)
            self.open.append(entry)
            # all chats of a question at once, so that they share the teacher's batch
            self.to_ask.extend((entry, part, 0) for part in range(count))
        entry, part, number = self.to_ask.popleft()
        return (entry, part, number), self._request(entry.question, part, number)

    def _request(self, question: Question[Tag], part: int, number: int) -> Request:
        """Return the request of one try; the first sample of a chat is drawn as if there were no others."""
        sampling, messages = self.tries.sampling, question.chats[part]
        assert isinstance(messages, list)  # questions with others are lost before
        if number:
            sampling = replace(sampling, temperature=max(sampling.temperature, RETRY_TEMPERATURE))
        others = (question.sample, number) if question.sample or number else ()
        # of the chat, not of the row's number: a row that is added before changes no other's answer
        seed = request_seed(self.tries.seed, messages, *others) if sampling.temperature > 0 else 0
        return Request(messages, sampling, seed)

    def _settle(self, attempt: Attempt[Tag, Value], response: Response) -> None:
        """Take a response: an answer, a reason to ask again, or a loss."""
        entry, part, number = attempt
        # once one chat of a question is lost, the answers to its others serve nothing: they are not asked again
        again = number + 1 < self.tries.most and not entry.lost
        if response.finish_reason == "error" and not (again and response.unusable):
            if not entry.lost:
                lose_error(self.context, entry.question.name, response)
            entry.lost = True
        else:
            answer, reason, detail = self._read(response, number + 1)
            if answer is None:
                # what was paid for and not read stands in the ledger, so that a user sees whether the parser is too
                # strict
                entry.unread.append(response.text)
                if again:
                    self.to_ask.append((entry, part, number + 1))
                    return
                self._lose(entry, reason, detail)
            entry.answers[part] = answer
        entry.unsettled -= 1

    def _read(self, response: Response, tries: int) -> tuple[Answer[Value] | None, str, str]:
        """Return the answer, or why there is none."""
        if response.finish_reason == "error":
            return None, UNREADABLE, response.text
        if response.finish_reason == "length" and not self.tries.keep_cut:
            return None, CUT, f"max_tokens={self.tries.sampling.max_tokens}"
        try:
            value = storable_value(self.parse(response.text))
        except (NameError, ImportError):
            raise  # a mistake in the parser, which no other answer would mend
        except Exception as error:  # noqa: BLE001 - parsers say so in many ways, such as AttributeError of None
            return None, UNREADABLE, described(error)
        return Answer(value, response.text, response.finish_reason, tries, response.reasoning), "", ""

    def _lose(self, entry: _Open[Tag, Value], reason: str, detail: str) -> None:
        """Record a question that is lost for good, with what the teacher wrote."""
        if not entry.lost:
            answers = "; ".join(repr(text) for text in entry.unread)
            self.context.ledger.lose(entry.question.name, "permanent", reason, f"{detail}; the teacher wrote {answers}")
        entry.lost = True

    def _finished(self) -> Answered[Tag, Value]:
        """Yield what is settled at the head of the line."""
        # in the order of the questions, so that rows come out as they went in, however the answers arrived
        while self.open and not self.open[0].unsettled:
            entry = self.open.popleft()
            answers = tuple(answer for answer in entry.answers if answer is not None)
            if not entry.lost:
                yield entry.question.tag, answers


def upper_bound(rows: int | None, calls: int, max_tokens: int) -> Estimate:
    """Return the cost of `calls` a row with answers of full length, prompts as long again, and no second tries."""
    if rows is None:
        return Estimate()
    return Estimate(rows, rows * calls, rows * calls * 2 * max_tokens)


def row_name(row: Mapping[str, Any], number: int) -> str:
    """Return what the ledger calls a row: its id, or else its number."""
    return str(row.get("id", number))


def lose_unfit(context: Context, row: str, unfit: UnfitRow) -> None:
    """Record that `row` can't be put into a prompt."""
    context.ledger.lose(row, "permanent", unfit.reason, prompts.REMEDY)


def lose_once(context: Context, row: str, unfit: UnfitRow, lost: set[str]) -> None:
    """Record it the first time only, for steps that go through their rows several times: `lost` are those before."""
    if row not in lost:
        lost.add(row)
        lose_unfit(context, row, unfit)


def rendered_rows(
    template: str, rows: Iterable[Mapping[str, Any]], context: Context
) -> Iterator[tuple[str, dict[str, Any], Messages]]:
    """Yield (name, row, chat) for each row that can be put into a prompt; the others are lost."""
    for number, row in enumerate(rows):
        name, chat = row_name(row, number), prompts.rendered(template, row)
        if isinstance(chat, list):
            yield name, dict(row), chat
        else:
            lose_unfit(context, name, chat)
