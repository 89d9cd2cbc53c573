"""Asking a teacher: a response that was paid for once is never asked for again, in any step or run of one store."""

from __future__ import annotations

import itertools
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from potstill.engine.encoding import digest, digest_encoded
from potstill.engine.step import Output, Step
from potstill.errors import PotstillError, Problem
from potstill.teachers.cache.forecast import CURRENT
from potstill.teachers.protocol import Throttled, is_teacher
from potstill.teachers.response_codec import finite, interpreted, pack, spelled, storable, unpack

if TYPE_CHECKING:
    from types import TracebackType

    from potstill.engine.context import Context
    from potstill.teachers.protocol import Request, Response, Sampling, Session, Teacher

NAMESPACE = "responses"
"""Where the store's journal keeps responses."""
GROUP = 64
"""Finished responses that are written together: what a kill costs at most."""
GROUP_SECONDS = 1.0
"""Longest a finished response waits for its group while others still arrive."""
SCAN = 256
"""Requests looked up in the journal together."""
WINDOW = 8192
"""Most requests held while an earlier one is still unanswered; bounds the memory."""
COUNTED = ("calls", "cached", "errors", "prompt_tokens", "completion_tokens")
"""What is counted, beside the cost."""

Tag = TypeVar("Tag")


class Asker:
    """Asks one teacher on behalf of a running step; it is opened at the first response that the journal lacks."""

    def __init__(self, teacher: Teacher, context: Context, *, reports: bool = True) -> None:
        """Keep the responses of `teacher` in the store's journal, and count them in `context.notes["usage"]`.

        A step that counts its progress in something else than responses sets `reports` to False.
        """
        self._teacher = teacher
        self._context = context
        self._journal = context.store_journal.scoped(NAMESPACE)
        self._reports = reports
        self._identity = digest(["response", type(teacher).__name__, teacher.identity()])
        self.forecast = CURRENT.get()
        self._open = ExitStack()
        self._session: Session | None = None
        self._unsaved: dict[str, Response] = {}
        self._saved = time.monotonic()
        self._changes: list[str] = []  # of the requests, that were warned of
        self._sampling: dict[Sampling, dict[str, Any]] = {}
        self.usage: Counter[str] = context.notes.setdefault("usage", Counter(dict.fromkeys(COUNTED, 0)))

    def __enter__(self) -> Asker:
        """Use as a context manager, so that the teacher's memory is freed at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is finished and close the teacher."""
        try:
            self._save()
            if isinstance(self._session, Throttled) and self._session.refusals:
                self.usage["refused"] += self._session.refusals
        finally:
            self._session = None
            self._open.close()

    def ask(self, requests: Iterable[tuple[Tag, Request]], total: int | None = None) -> Iterator[tuple[Tag, Response]]:
        """Yield (tag, response) in the order of `requests`, which are drawn as they are needed.

        An error is a response too (`finish_reason` is `error`); it is not kept, so the next run asks again, unless the
        teacher did answer, with nothing that can be used.
        """
        yield from _RequestQueue(self, requests, total).responses()

    def key(self, request: Request) -> str:
        """Return the key of a response: what it depends on. Greedy decoding has no seed."""
        if request.sampling not in self._sampling:
            self._sampling[request.sampling] = spelled(request.sampling)
        sampling = self._sampling[request.sampling]
        seed = request.seed if request.sampling.temperature > 0 else 0
        # left out, not empty: requests from before there were continuations keep their keys
        scored = [] if request.continuation is None else [request.continuation]
        raw = [] if request.raw is None else [{"raw": request.raw}]
        ids = [] if request.tokens is None else [{"tokens": [*request.tokens], "scored": [*request.scored_tokens]}]
        return digest_encoded([self._identity, request.messages, sampling, seed, *scored, *raw, *ids])

    def known(self, keys: list[str]) -> dict[str, Response]:
        """Return the responses that are finished already, as the teacher wrote them."""
        cached = {key: unpack(value) for key, value in self._journal.get_many(keys).items()}
        return cached | {key: self._unsaved[key] for key in keys if key in self._unsaved}

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        """Ask the teacher, which is opened at the first time; in a dry run, count the requests and end it."""
        if self.forecast is not None:
            self.forecast.take(requests)
        if self._session is None:
            self._session = self._open.enter_context(self._teacher.open(threads=self._context.threads))
        return self._session.generate(requests)

    def take(self, key: str, request: Request, written: Response) -> Response:
        """Count a response that has just been made, and keep what was paid for; return it as steps read it."""
        # as the journal will give it back, so that this run and a resumed one see the same text
        written = storable(written)
        response = interpreted(written, request)
        self._count(response)
        # an answer that can't be used was paid for all the same, and would come again
        if written.finish_reason != "error" or written.unusable:
            self._keep(key, written)
        return response

    def read(self, stored: Response, request: Request) -> Response:
        """Return a response of the journal as steps read it."""
        self.usage["cached"] += 1
        self._note_changes(stored)
        return interpreted(finite(stored), request)

    def _count(self, response: Response) -> None:
        """Count what a response took, with the tries before it."""
        before = response.earlier
        self.usage["calls"] += 1
        self.usage["prompt_tokens"] += before.prompt + response.prompt_tokens
        self.usage["completion_tokens"] += before.completion + response.completion_tokens
        if cost := before.cost + response.cost:
            self.usage["cost"] += cost  # type: ignore[assignment]  # dollars
        if response.finish_reason == "error":
            self.usage["errors"] += 1
        self._note_changes(response)

    def _note_changes(self, response: Response) -> None:
        """Note once how requests were changed, as the server does not take what was asked."""
        new = [words for words in response.adapted if words not in self._changes]
        if not new:
            return
        self._changes += new
        text = f"the teacher's server refuses what was asked, so requests were changed: {', '.join(new)}"
        self._context.notes.setdefault("warnings", []).append(text)
        self._context.logger.warning(text)

    def _keep(self, key: str, response: Response) -> None:
        """Keep a response; several are written together."""
        self._unsaved[key] = response
        if len(self._unsaved) >= GROUP or time.monotonic() - self._saved >= GROUP_SECONDS:
            self._save()

    def report(self, done: int, total: int | None) -> None:
        """Report the progress."""
        if self._reports:
            note = self._session.note if isinstance(self._session, Throttled) else ""
            self._context.progress(done, total, tokens=self.usage["completion_tokens"], note=note)

    def _save(self) -> None:
        """Write finished responses to the journal."""
        if self._unsaved:
            self._journal.put_many({key: pack(response) for key, response in self._unsaved.items()})
            self._unsaved = {}
        self._saved = time.monotonic()


class _RequestQueue(Generic[Tag]):
    """Requests waiting in order; those that the journal lacks are fed to the teacher, which answers in any order."""

    def __init__(self, asker: Asker, requests: Iterable[tuple[Tag, Request]], total: int | None) -> None:
        self._asker = asker
        self._source = iter(requests)
        self._total = total
        self._waiting: deque[tuple[Tag, str]] = deque()
        self._holders: Counter[str] = Counter()  # how many of those that wait share a key
        self._ready: dict[str, Response] = {}
        self._to_ask: deque[tuple[str, Request]] = deque()
        self._asked: dict[int, tuple[str, Request]] = {}
        self._answered = 0
        self._done = 0

    def responses(self) -> Iterator[tuple[Tag, Response]]:
        """Yield the responses in order."""
        answers: Iterator[tuple[int, Response]] | None = None
        try:
            while True:
                yield from self._finished()
                if not self._waiting:
                    if not self._scan():
                        return
                    continue
                if answers is None:
                    self._asked, self._answered = {}, 0
                    answers = self._asker.generate(self._feed())
                if not self._take_next(answers):
                    answers = None
        finally:
            if answers is not None:
                answers.close()  # type: ignore[attr-defined]  # a generator: it drops what is in flight

    def _finished(self) -> Iterator[tuple[Tag, Response]]:
        """Yield what is answered at the head of the line."""
        while self._waiting and self._waiting[0][1] in self._ready:
            tag, key = self._waiting.popleft()
            response = self._ready[key]
            self._holders[key] -= 1
            if not self._holders[key]:
                del self._ready[key], self._holders[key]
            self._done += 1
            if self._done % GROUP == 0 or not self._waiting:
                self._asker.report(self._done, self._total)
            yield tag, response

    def _take_next(self, answers: Iterator[tuple[int, Response]]) -> bool:
        """Take one answer; return whether there was one."""
        answer = next(answers, None)
        if answer is None:
            # what is left to ask came in line after the window was full, and is fed to the next call
            if self._asked or not self._answered:
                left = len(self._asked) + len(self._to_ask)
                raise PotstillError(f"the teacher stopped with {left} requests unanswered; what is finished is kept")
            return False
        self._answered += 1
        key, request = self._asked.pop(answer[0])
        self._ready[key] = self._asker.take(key, request, answer[1])
        return True

    def _feed(self) -> Iterator[Request]:
        """Yield what the journal lacks, looking ahead no further than `WINDOW`."""
        # a teacher counts the requests of one call from 0
        number = itertools.count()
        while True:
            while self._to_ask:
                key, request = self._to_ask.popleft()
                self._asked[next(number)] = key, request
                yield request
            if len(self._waiting) >= WINDOW or not self._scan():
                return

    def _scan(self) -> bool:
        """Put the next requests in line; return whether there were any."""
        batch = [(tag, self._asker.key(request), request) for tag, request in itertools.islice(self._source, SCAN)]
        cached = self._asker.known(list({key for _, key, _ in batch if key not in self._holders}))
        for tag, key, request in batch:
            self._waiting.append((tag, key))
            self._holders[key] += 1
            # equal requests are asked once, and all that wait get the one response
            if self._holders[key] > 1:
                continue
            if key in cached:
                self._ready[key] = self._asker.read(cached[key], request)
                if self._asker.forecast is not None:
                    self._asker.forecast.cached += 1
            else:
                self._to_ask.append((key, request))
        return bool(batch)


def ask(
    teacher: Teacher, requests: Iterable[tuple[Tag, Request]], context: Context, total: int | None = None
) -> Iterator[tuple[Tag, Response]]:
    """Yield (tag, response) in the order of `requests`; see `Asker` for several rounds with one teacher."""
    with Asker(teacher, context) as asker:
        yield from asker.ask(requests, total)


def as_teacher(model: object) -> Teacher:
    """Return `model` if it is a teacher, else a vLLM teacher of the Hub id or folder that it names."""
    if is_teacher(model):
        return model
    from potstill.teachers.vllm.teacher import VLLM

    return VLLM(str(model))


def teacher_problems(teacher: object, *, top_k: int = 0) -> Iterator[Problem]:
    """Yield why the value of a `teacher` field can't teach."""
    if not isinstance(teacher, (str, Path, Step, Output)) and not hasattr(teacher, "open"):
        yield Problem("", "teacher", f"{teacher!r} is no teacher: give VLLM(...), Endpoint(...), a Hub id or a folder")
        return
    checked = as_teacher(teacher)
    yield from getattr(checked, "check", tuple)()
    if top_k and not getattr(checked, "gives_top_k", True):
        yield Problem(
            "", "top_k", f"{type(checked).__name__} gives no log-probabilities with token ids: take VLLM, or top_k=0"
        )


def request_seed(*parts: object) -> int:
    """Return a seed for one request, derived from `parts`: neighbours in a batch share no random numbers."""
    return int(digest(list(parts))[:8], 16) & 0x7FFFFFFF


def lose_error(context: Context, row: str, response: Response) -> None:
    """Record that the teacher failed on `row`."""
    context.ledger.lose(row, "retryable" if response.retryable else "permanent", "teacher error", response.text)
