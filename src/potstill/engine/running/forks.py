"""Children for light steps of the user's own, forked from the run's process as it was when the run began.

Each step finds the state that its key was computed from: modules, variables, environment, working folder. What it does
to its process (leave, raise anything, close files, change variables, take signals) ends with it and reaches neither the
run nor another step. One child is always forked ahead.

A fork costs more than a small step. So a child whose step went well may run the next step of the same class, if that
step's parameters are plain values, its code reaches nothing of a library that could keep a setting, a patch or a seed,
and the child finds its process, and the containers that the code reaches, as they were.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from potstill.engine.code import class_code
from potstill.engine.running.devices import show_only
from potstill.engine.running.messages import receive, send
from potstill.engine.running.nursery import Nursery, forked, run_child
from potstill.engine.running.own_code import is_unchangeable
from potstill.engine.running.process_state import ProcessState
from potstill.engine.running.provenance import machine, versions
from potstill.engine.running.spec import Spec, detached
from potstill.engine.running.threads import limit_threads
from potstill.engine.running.traces import Trace, trace_of
from potstill.engine.step import Step
from potstill.engine.terminal import tame

READY = {"ready": True}
"""What a child reports when it can take another step of the class."""


@dataclass
class _Worker:
    """A child, with the pipe by which it gets its steps."""

    pid: int
    """Its number."""
    events: int
    """The pipe on which it reports."""
    orders: int
    """The pipe on which it waits."""
    kind: type | None = None
    """The class whose steps it may run, once it has run one."""
    ready: bool = True
    """Whether it waits for a step."""
    free: bool = False
    """Whether it has ended its step, and is ready or about to be, or to leave."""
    next: dict[str, Any] | None = None
    """A request that waits for it to be ready."""


class Forks(Nursery):
    """Forks children from a process that holds the steps of the run."""

    own_groups = True

    def __init__(self, connection: int, steps: Mapping[int, Step]) -> None:
        """Run `steps`, by the id that they have in this process and its parent."""
        super().__init__(connection)
        self._steps = steps
        self._workers: dict[int, _Worker] = {}
        self._traces: dict[type, Trace] = {}
        self._ahead: _Worker | None = None

    def prepare(self, request: dict[str, Any]) -> None:
        """Import what every step needs, once, and fork the first child."""
        if self._ahead is None:
            import datasets  # noqa: F401
            import pyarrow.parquet  # noqa: F401

            # both are cached: looked up here once, not in every child
            versions(), machine()
            gc.freeze()  # or each child would copy what its collector touches
            self._ahead = self._fork_ahead()

    def job(self, request: dict[str, Any]) -> tuple[Spec, tuple[str, ...]]:
        """Put the step together from this process's own objects: nothing of it has to be sent."""
        spec, fields = pickle.loads(request["spec"])  # noqa: S301 - of the run's own process
        return replace(spec, step=detached(self._steps[spec.node], spec.edges, spec.fixed)), fields

    def start(self, request: dict[str, Any]) -> None:
        """Give a request to a child that has run a step of the class, or else to the one that was forked ahead."""
        kind = self._kind(request)
        free = (one for one in self._workers.values() if one.free and one.next is None)
        worker = next((one for one in free if kind is not None and one.kind is kind), None)
        if worker is None:
            self._give(self._fresh(request["id"], kind), request)
            self._ahead = self._fork_ahead()
        elif worker.ready:
            self._give(worker, request)
        else:
            worker.next = request

    def said(self, pid: int, event: dict[str, Any]) -> bool:
        """Take note of a child that is ready again, and of one that has ended its step and may become so."""
        worker = self._workers[pid]
        if event == READY:
            worker.ready = True
            if worker.next is not None:
                self._give(worker, worker.next)
            return False
        if "outcome" in event and event["stays"]:
            worker.free = True
            self.settle(pid, event)
            return False
        return True

    def left(self, pid: int) -> None:
        """Give what waited for a child that is gone to another one."""
        worker = self._workers.pop(pid, None)
        if worker is not None:
            os.close(worker.orders)
            if worker.next is not None:
                self.start(worker.next)

    def _fresh(self, number: int, kind: type | None) -> _Worker:
        """Take the child that was forked ahead, for the request `number`."""
        worker = self._ahead
        assert worker is not None, "prepared"
        worker.kind = kind
        self._workers[worker.pid] = worker
        self.watch(number, worker.pid, worker.events)
        return worker

    def _kind(self, request: dict[str, Any]) -> type | None:
        """Return the class of the step if children may run several of it: it changes nothing, nor its parameters."""
        step = self._steps[request["node"]]
        return type(step) if is_unchangeable(step) and self._trace(type(step)) is not Trace.ANYTHING else None

    def _trace(self, cls: type) -> Trace:
        """Return what steps of a class can change, which is asked once: no code changes in this process."""
        if cls not in self._traces:
            self._traces[cls] = trace_of(cls)
        return self._traces[cls]

    def _give(self, worker: _Worker, request: dict[str, Any]) -> None:
        """Send a request to a child."""
        worker.ready, worker.free, worker.next = False, False, None
        self.rename(worker.pid, request["id"])
        with contextlib.suppress(BrokenPipeError):  # it was killed while it waited, as its exit says
            send(worker.orders, {**request, "reusable": worker.kind is not None})

    def _fork_ahead(self) -> _Worker:
        """Fork a child that waits for its requests."""
        reading, writing = os.pipe()

        def work(events: int) -> None:
            # or this child would hold its own pipe open, and never see that its parent has gone
            os.close(writing)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._run_steps(reading, events)

        worker = _Worker(*self.fork(work), writing)
        os.close(reading)
        return worker

    def _run_steps(self, orders: int, events: int) -> None:
        """Be a child: run one step after the other, as long as nothing but the store has changed."""
        tame()
        state: ProcessState | None = None
        while (request := receive(orders)) is not None:
            show_only(request["devices"])
            state = state or ProcessState.of(orders, events)
            if not run_child(self.job, request, events, self.is_ending, request["reusable"]):
                os._exit(1)
            # compared after every step: one that left a trace must not be followed by another one
            if not request["reusable"] or ProcessState.of(orders, events) != state or self._has_changed(request):
                break
            send(events, READY)
        os._exit(0)

    def _has_changed(self, request: dict[str, Any]) -> bool:
        """Return whether the step that was run has changed what its class's key covers."""
        cls = type(self._steps[request["node"]])
        if self._trace(cls) is Trace.NONE:
            return False
        spec, _ = pickle.loads(request["spec"])  # noqa: S301 - of the run's own process
        return bool(class_code(cls) != spec.identity["code"])


class Forked:
    """The process that forks, seen from the one that it was forked from."""

    def __init__(self, pid: int) -> None:
        """Know it by its number."""
        self.pid = pid

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code.

        Raises:
            TimeoutError: it is still there after `timeout` seconds.
        """
        import select

        # waitpid has no timeout; this descriptor becomes readable when the process ends
        handle = os.pidfd_open(self.pid)
        try:
            if not select.select([handle], [], [], timeout)[0]:
                raise TimeoutError
        finally:
            os.close(handle)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def start(steps: Sequence[Step]) -> tuple[socket.socket, Forked]:
    """Fork this process as it is; return the connection to the fork, which waits for requests."""
    connection, far_end = socket.socketpair()
    # or what is still buffered would be printed twice, by either process
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    pid = forked()
    if pid == 0:
        try:
            # a second holder of the run's end would hide from this process that the run has gone
            connection.close()
            _settle_down()
            Forks(far_end.detach(), {id(step): step for step in steps}).serve()
        finally:
            # not sys.exit: atexit handlers and buffers are the run's own
            os._exit(1)
    far_end.close()
    return connection, Forked(pid)


def _settle_down() -> None:
    """Leave the terminal and the signals to the run, and the threads of libraries where they are."""
    os.setsid()
    with contextlib.suppress(ValueError):
        # asyncio or IPython may have set one, to which this copy must not write
        signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    limit_threads(1)
