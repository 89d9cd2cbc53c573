"""The loop of a process that forks a child for each step: requests come in, what the children report goes out.

The process computes nothing itself, so that a fork is safe. When its run's process dies, even by SIGKILL, the
connection closes, and it ends all children. Messages: `{"id", ...}` one way, `{"id", "event", "exit"}` the other, one
of the two or both.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import selectors
import signal
import sys
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from potstill.engine.running.execute import execute
from potstill.engine.running.messages import receive, send
from potstill.engine.running.spec import Outcome, Spec
from potstill.errors import described

LEAVE_SECONDS = 3.0
"""How long children may take to leave when their run is interrupted."""
END = {"end": True}
"""The message that asks all children to leave."""


Job = Callable[[dict[str, Any]], tuple[Spec, tuple[str, ...]]]
"""Returns the step that a request means, and its edge fields."""


@dataclass
class _Child:
    """A running child."""

    number: int
    """The request that it is at; none when it has ended its step, and lives on."""
    pid: int
    """Its process."""
    events: int
    """The pipe on which it reports."""
    exit: int
    """Becomes readable when it is gone, even if others hold the pipe open."""


class Nursery(ABC):
    """Forks children on request, until the other end of its connection closes."""

    own_groups = False
    """Whether each child leads a process group of its own, which ends with it."""

    def __init__(self, connection: int) -> None:
        """Take requests from `connection`."""
        self._connection = connection
        self._children: dict[int, _Child] = {}
        self._selector = selectors.DefaultSelector()
        self._ending = mmap.mmap(-1, 1)  # a byte that all forks share

    @abstractmethod
    def prepare(self, request: dict[str, Any]) -> None:
        """Do in this process what a child shall find done."""

    @abstractmethod
    def job(self, request: dict[str, Any]) -> tuple[Spec, tuple[str, ...]]:
        """Return in the child the step that the request means, and its edge fields."""

    def start(self, request: dict[str, Any]) -> None:
        """Fork a child for a request."""
        self.watch(request["id"], *self.fork(lambda events: self._run_one(request, events)))

    def said(self, pid: int, event: dict[str, Any]) -> bool:
        """Look at what a child reports; return whether it is for the run."""
        return True

    def left(self, pid: int) -> None:  # noqa: B027 - nothing to do is what most do
        """Take note that a child is gone."""

    def serve(self) -> None:
        """Start children and pass on what they report; end the process group when the connection closes."""
        self._selector.register(self._connection, selectors.EVENT_READ, None)
        while True:
            for ready, _ in self._selector.select():
                child: _Child | None = ready.data
                if child is None:
                    self._take(receive(self._connection))
                elif child.pid not in self._children:
                    continue  # it has been seen to leave in this round
                elif ready.fd == child.exit:
                    self._finish(child)
                elif not self._forward(child):
                    self._selector.unregister(child.events)

    def fork(self, work: Callable[[int], None]) -> tuple[int, int]:
        """Fork a child that does `work` with its end of a pipe; return its number and the other end."""
        reading, writing = os.pipe()
        child = forked()
        if child == 0:
            os.close(reading)
            self._selector.close()
            os.close(self._connection)
            if self.own_groups:
                os.setpgid(0, 0)
            work(writing)
            os._exit(1)
        os.close(writing)
        return child, reading

    def watch(self, number: int, pid: int, events: int) -> None:
        """Watch a child, which is at the request `number`."""
        child = _Child(number, pid, events, os.pidfd_open(pid))
        self._children[pid] = child
        self._selector.register(child.events, selectors.EVENT_READ, child)
        self._selector.register(child.exit, selectors.EVENT_READ, child)

    def rename(self, pid: int, number: int) -> None:
        """Let a child that is watched be at another request."""
        self._children[pid].number = number

    def settle(self, pid: int, event: dict[str, Any]) -> None:
        """Pass on the last that a child says of its request; the child lives on."""
        child = self._children[pid]
        send(self._connection, {"id": child.number, "event": event, "exit": 0})
        child.number = 0

    def _run_one(self, request: dict[str, Any], events: int) -> None:
        """Be a child."""
        os._exit(0 if run_child(self.job, request, events, self.is_ending) else 1)

    def is_ending(self) -> bool:
        """Return, here or in a child, whether all children were asked to leave."""
        return self._ending[0] == 1

    def _take(self, request: dict[str, Any] | None) -> None:
        """Act on a message of the run; None is the end of the connection."""
        if request is None or request == END:
            self._end(LEAVE_SECONDS if request else 0.0)
        else:
            self.prepare(request)
            self.start(request)

    def _forward(self, child: _Child) -> bool:
        """Pass one event of a child on; return whether there was one, or the pipe is closed."""
        event = receive(child.events)
        if event is not None and self.said(child.pid, event):
            send(self._connection, {"id": child.number, "event": event})
        return event is not None

    def _finish(self, child: _Child) -> None:
        """Pass on what a child that is gone still said, and how it ended; what it left may hold its pipe open."""
        while select.select([child.events], [], [], 0)[0] and self._forward(child):
            pass
        for handle in (child.events, child.exit):
            with contextlib.suppress(KeyError):
                self._selector.unregister(handle)
            os.close(handle)
        self._signal(child, signal.SIGKILL)  # before its number can become another's
        _, status = os.waitpid(child.pid, 0)
        del self._children[child.pid]
        if child.number:
            send(self._connection, {"id": child.number, "exit": os.waitstatus_to_exitcode(status)})
        self.left(child.pid)

    def _signal(self, child: _Child, number: int) -> None:
        """Send a signal to all processes of a child's own group, if it has one."""
        if self.own_groups:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, number)

    def _end(self, grace: float) -> None:
        """Ask the children to leave, end what is left of them after `grace` seconds, and this process with them."""
        self._ending[0] = 1
        deadline = time.monotonic() + grace
        busy = [child for child in self._children.values() if child.number and self.own_groups and grace]
        for child in busy:
            self._signal(child, signal.SIGINT)
        for child in busy:
            select.select([child.exit], [], [], max(0.0, deadline - time.monotonic()))
        for child in self._children.values():
            self._signal(child, signal.SIGKILL)
            if self.own_groups:
                os.waitpid(child.pid, 0)
        os.killpg(0, signal.SIGKILL)


def forked() -> int:
    """Fork this process; Python's warning of threads is for processes that compute in them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def run_child(
    job: Job, request: dict[str, Any], events: int, is_ending: Callable[[], bool], stays: bool = False
) -> bool:
    """Run the step that `request` means and report how it ended; return whether that could be reported.

    Where the child `stays` if all goes well, the report says so. A fork that the step made does not come back.
    """
    me, pipe = os.getpid(), os.fstat(events)
    reported = False
    try:
        _die_with_parent(me)
        try:
            outcome = execute(*job(request), _reporter(events), is_ending)
        except BaseException as error:  # noqa: BLE001 - the step's own, or the end of the run
            outcome = Outcome("failed", 0.0, described(error))
        if os.getpid() == me and os.path.samestat(os.fstat(events), pipe):  # a step may close anything
            stays = stays and outcome.status == "ran"
            send(events, {"outcome": asdict(outcome), "stays": stays})
            reported = True
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        if not reported or not stays:
            os._exit(0 if reported else 1)
    return reported


def _reporter(events: int) -> Callable[..., None]:
    """Return a progress function that sends to the parent, at most ten times a second."""
    last = 0.0

    def report(done: int, total: int | None = None, *, tokens: int = 0, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 0.1 or done == total:
            last = now
            send(events, {"progress": [done, total, tokens, note]})

    return report


@cache
def _die_with_parent(process: int) -> None:
    """Ask Linux to kill this `process` when its parent dies, once."""
    import ctypes

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
