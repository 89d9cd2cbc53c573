"""Requests to one or several servers at a time: as many as they take, again after a failure, each answered once.

A thread with an event loop of its own sends and waits; the thread that consumes the answers draws the requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import queue
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from potstill.errors import BadInput
from potstill.teachers.openai.event_loop import wait_for
from potstill.teachers.openai.lanes import Job, Lane, pause_before
from potstill.teachers.openai.outcome import Outcome, Refusal, Trouble
from potstill.teachers.protocol import NOTHING, Response, Usage

QUEUED = 2
"""Requests drawn and not answered, as a multiple of those in flight: the servers never wait for the consumer."""
TOGETHER = 16
"""Requests handed to the sending thread at once."""
LOOK_UP_SECONDS = 0.5
"""How often a consumer that waits looks whether it was interrupted."""
BUDGET_SECONDS = 0.2
"""How often is looked whether other steps have given back what they had set aside of the budget."""


@dataclass
class Dispatcher:
    """Sends the requests of a session."""

    lanes: Sequence[Lane]
    """The servers."""
    max_retries: int
    """Times a request is sent again."""
    loop: asyncio.AbstractEventLoop
    """Where it is sent from, in a thread of its own."""

    @property
    def refusals(self) -> int:
        """How often the servers had too much to do."""
        return sum(lane.window.refusals for lane in self.lanes)

    @property
    def note(self) -> str:
        """What slows the requests down, in a few words, or nothing."""
        now = sum(int(lane.window.limit) for lane in self.lanes)
        return f"refused {self.refusals:,} times (429 or 503), now {now:,} at a time" if self.refusals else ""

    def run(self, jobs: Iterator[Job | tuple[int, Response]]) -> Iterator[tuple[int, Response]]:
        """Yield `(index, response)` as the responses arrive; what comes as a response already passes through.

        Raises:
            PotstillError: what holds for every request alike; those in flight are answered and yielded before.
        """
        room = QUEUED * sum(lane.window.most for lane in self.lanes)
        results: queue.SimpleQueue[tuple[int, Response] | Exception] = queue.SimpleQueue()
        flight = _Flight(self, results.put)
        waiting, drawn_all = 0, False
        try:
            while True:
                while not drawn_all and waiting <= room * 3 // 4:
                    wanted = min(TOGETHER, room - waiting)
                    drawn = list(itertools.islice(jobs, wanted))
                    drawn_all = len(drawn) < wanted
                    fed = [job for job in drawn if isinstance(job, Job)]
                    waiting += len(fed)
                    self.loop.call_soon_threadsafe(flight.feed, fed)
                    yield from (job for job in drawn if not isinstance(job, Job))
                if not waiting:
                    return
                result = _next(results)
                if isinstance(result, Exception):
                    raise result
                waiting -= 1
                yield result
        finally:
            wait_for(self.loop, flight.cancel())


def _next(results: queue.SimpleQueue[Any]) -> Any:
    """Wait for a result; an interrupt that can't reach a thread in a system call does so in between."""
    while True:
        with contextlib.suppress(queue.Empty):
            return results.get(timeout=LOOK_UP_SECONDS)


@dataclass
class _Flight:
    """The requests of one `run`. All its methods run in the sending thread."""

    rules: Dispatcher
    put: Callable[[tuple[int, Response] | Exception], None]
    _waiting: deque[Job] = field(default_factory=deque)
    _flying: dict[asyncio.Task[None], tuple[Lane, Job]] = field(default_factory=dict)
    _resting: set[asyncio.TimerHandle] = field(default_factory=set)
    _alarm: asyncio.TimerHandle | None = None
    _end: Exception | None = None
    _is_reported: bool = False

    def feed(self, jobs: list[Job]) -> None:
        """Take requests."""
        self._waiting.extend(jobs)
        self._go_on()

    async def cancel(self) -> None:
        """Drop what is unfinished."""
        self._end, self._is_reported = self._end or RuntimeError("dropped"), True
        for handle in [*self._resting, *([self._alarm] if self._alarm else [])]:
            handle.cancel()
        tasks = list(self._flying)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for lane, job in self._flying.values():  # those that had not begun
            self._settle_budget(lane, job, NOTHING)
        self._flying.clear()

    def _go_on(self) -> None:
        """Send what can be sent; an error of our own ends the run instead of stopping it silently."""
        try:
            self._send()
        except Exception as error:  # noqa: BLE001 - the consumer raises it
            self._end = self._end or error
        if self._end is not None and not self._flying and not self._is_reported:
            self._is_reported = True
            self.put(self._end)

    def _send(self) -> None:
        """Send what the servers have room for."""
        now = self.rules.loop.time()
        while self._waiting and self._end is None:
            job = self._waiting[0]
            open_ = [lane for lane in self.rules.lanes if lane.opens <= now and lane.has_room]
            open_.sort(key=lambda lane: lane.window.load)
            lane = next((lane for lane in open_ if lane.budget.hold(job.prompt, job.completion)), None)
            if lane is None:
                self._wait_for_room(job, open_, now)
                return
            self._waiting.popleft()
            task = self.rules.loop.create_task(self._fly(lane, job, lane.window.send()))
            self._flying[task] = lane, job

    def _wait_for_room(self, job: Job, open_: list[Lane], now: float) -> None:
        """Look again when a server opens, or when another step may have given back its share of the budget."""
        opens = [lane.opens for lane in self.rules.lanes if lane.opens > now]
        if open_ and not self._flying and len(open_) == len(self.rules.lanes):
            if any(lane.budget.may_fit(job.prompt, job.completion) for lane in open_):
                opens.append(now + BUDGET_SECONDS)
            else:
                self._end = open_[0].budget.error(open_[0].name, job.prompt, job.completion)
        self._look_again(min(opens, default=0.0))

    def _look_again(self, when: float) -> None:
        """Go on when the next server opens; 0 for never."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self.rules.loop.call_at(when, self._go_on) if when else None

    async def _fly(self, lane: Lane, job: Job, number: int) -> None:
        """Send one request to one server, and settle how it went."""
        outcome, billed = None, None  # what is dropped on its way may have been answered: it counts as its most
        try:
            outcome = await lane.send(job.payload)
            billed = outcome.usage
        except Exception as error:  # noqa: BLE001 - whatever holds for all requests alike, the consumer raises
            self._end, billed = self._end or error, NOTHING
        finally:
            lane.window.come_back()
            if (task := asyncio.current_task()) is not None:
                self._flying.pop(task, None)
            self._settle_budget(lane, job, billed)
        if outcome is not None:
            self._settle(lane, job, number, outcome)
        self._go_on()

    def _settle_budget(self, lane: Lane, job: Job, billed: Usage | None) -> None:
        """Count what a request was billed."""
        try:
            lane.budget.settle(job.prompt, job.completion, billed)
        except Exception as error:  # noqa: BLE001 - an account that can't be kept ends the run
            self._end = self._end or error

    def _settle(self, lane: Lane, job: Job, number: int, outcome: Outcome) -> None:
        """Give out what came of a request, or let it be sent again."""
        result = outcome.result
        if isinstance(result, Trouble):
            job.billed += outcome.usage or NOTHING
            self._again(lane, job, number, result)
            return
        response = result.response() if isinstance(result, Refusal) else result
        lane.window.answered()
        lane.answers, lane.failures, lane.closed_until, lane.down = lane.answers + 1, 0, 0.0, False
        self._put(job, response)

    def _put(self, job: Job, response: Response) -> None:
        """Give out a response, with what the tries before it were billed."""
        self.put((job.index, replace(response, earlier=job.billed) if job.billed != NOTHING else response))

    def _again(self, lane: Lane, job: Job, number: int, trouble: Trouble) -> None:
        """Let a request wait for its next try, or give it up."""
        now, pause = self.rules.loop.time(), trouble.pause
        lane.down = trouble.down
        if trouble.limited:
            lane.window.refused(number)
            lane.paused_until = max(lane.paused_until, now + (pause or 0.0))
            counts = lane.answers == job._answers
            job._answers = lane.answers
        else:
            if trouble.down or len(self.rules.lanes) > 1:  # a replica that fails quickly would draw all the requests
                lane.close(now)
            counts = not (trouble.down and self._another_is_open(now))
        job.tries += counts
        if job.tries <= self.rules.max_retries:
            # what found nobody there waits in the line, for the server to open
            self._rest(0.0 if trouble.down else pause or pause_before(max(job.tries, 1)), job)
        elif trouble.down:
            self._end = self._end or _down(self.rules.lanes, trouble, job.tries)
        else:
            self._put(job, Response(f"no answer after {job.tries} attempts: {trouble.problem}", "error"))

    def _another_is_open(self, now: float) -> bool:
        """Return whether a server is left that is up."""
        return any(lane.opens <= now and not lane.down for lane in self.rules.lanes)

    def _rest(self, seconds: float, job: Job | None = None) -> None:
        """Go on after some time, with `job` first."""

        def wake() -> None:
            self._resting.discard(handle)
            if job is not None:
                self._waiting.appendleft(job)
            self._go_on()

        handle = self.rules.loop.call_later(max(0.0, seconds), wake)
        self._resting.add(handle)


def _down(lanes: Sequence[Lane], trouble: Trouble, tries: int) -> BadInput:
    """Return the error of servers that nobody can reach."""
    names = ", ".join(lane.name for lane in lanes)
    return BadInput(
        f"{names} can't be reached, in {tries} attempts: {trouble.problem}; start the server, or correct the address. "
        "Every answer so far is kept"
    )
