"""Steps in child processes, seen from the run's process: one thread reads events and completes futures."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from potstill import about
from potstill.engine.context import Progress
from potstill.engine.logs import keep_printed, last_printed, printed
from potstill.engine.running.messages import receive, send
from potstill.engine.running.nursery import END, LEAVE_SECONDS
from potstill.engine.running.spec import Outcome, Spec
from potstill.engine.store.disk import writing
from potstill.errors import PotstillError

LISTS = ("warnings", "changed_inputs")
"""Fields of an outcome that a child sends as lists."""
TERMINATE_SECONDS = LEAVE_SECONDS + 2.0
"""How long the process that forks may take to leave before it is killed."""


class Process(Protocol):
    """The process that forks the children."""

    pid: int

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code; raise if it is still there after `timeout` seconds."""


class Children:
    """The children that one process forks."""

    def __init__(self, connection: socket.socket, process: Process) -> None:
        """Talk to `process` over `connection`."""
        self._socket = connection
        self._process = process
        self._waiting: dict[int, tuple[Future[Outcome], Progress, Spec]] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._number = 0
        self.gone = False
        """Whether the process that forks has died."""
        threading.Thread(target=self._read, name="potstill-children", daemon=True).start()

    def submit(self, spec: Spec, progress: Progress, request: Mapping[str, Any]) -> Future[Outcome]:
        """Ask for a child that does what `request` says."""
        future: Future[Outcome] = Future()
        self._number += 1
        self._waiting[self._number] = (future, progress, spec)
        try:
            send(self._socket.fileno(), {"id": self._number, **request})
        except OSError:
            self._fail_all()
        return future

    def close(self) -> None:
        """End the children, which may put their things away first, and the process that forked them."""
        with contextlib.suppress(OSError):
            send(self._socket.fileno(), END)
        try:
            self._process.wait(TERMINATE_SECONDS)
        except (TimeoutError, subprocess.TimeoutExpired):
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _read(self) -> None:
        """Complete futures as children report or die."""
        while True:
            try:
                message = receive(self._socket.fileno())
            except OSError:
                message = None
            if message is None:
                return self._fail_all()
            if "event" in message:
                self._hear(message["id"], message["event"])
            if "exit" in message:
                self._complete(message["id"], message["exit"])

    def _hear(self, number: int, event: dict[str, Any]) -> None:
        """Show how far a child is, or keep how its step ended until it has left."""
        if "progress" in event:
            done, total, tokens, note = event["progress"]
            with contextlib.suppress(Exception):  # a display that fails must not keep the run waiting for ever
                self._waiting[number][1](done, total, tokens=tokens, note=note)
        else:
            outcome = event["outcome"]
            self._outcomes[number] = Outcome(**{**outcome, **{name: tuple(outcome[name]) for name in LISTS}})

    def _complete(self, number: int, code: int) -> None:
        """Complete the future of a child that is done: with its outcome, or with how it died without one."""
        future, _, spec = self._waiting.pop(number)
        output = printed(spec.store, spec.key)
        outcome = self._outcomes.pop(number, None) or Outcome("failed", 0.0, _death(code, output))
        with contextlib.suppress(OSError):
            keep_printed(spec.store, spec.key)
            output.unlink(missing_ok=True)
        future.set_result(outcome)

    def _fail_all(self) -> None:
        """Complete all futures with a failure: the process that forks is no more."""
        self.gone = True
        for number in list(self._waiting):
            waiting = self._waiting.pop(number, None)
            if waiting is not None:
                waiting[0].set_result(Outcome("failed", 0.0, "the process that starts the steps has died"))


def start_fork_server(environment: Mapping[str, str]) -> Children:
    """Start the fork server in a session of its own, so that Ctrl-C reaches this process only."""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(
        [sys.executable, "-m", "potstill.engine.running.fork_server", str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        env={**environment, "PYTHONUNBUFFERED": "1", **about.FORKED},
    )
    theirs.close()
    return Children(ours, process)


def heavy_request(spec: Spec, fields: tuple[str, ...], modules: bytes) -> dict[str, Any]:
    """Return what the fork server needs: the step, whose output goes to a file, and the user's `modules`."""
    output = printed(spec.store, spec.key)
    with writing(spec.store):
        output.parent.mkdir(parents=True, exist_ok=True)
        output.unlink(missing_ok=True)
    return {
        "spec": pickled((spec, fields)),
        "modules": modules,
        "preload": list(spec.step.placement().preload),
        "path": sys.path,
        "devices": spec.devices,
        "log": str(output),
    }


def light_request(spec: Spec, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return what a fork of this process needs to run a step, which it has: where its inputs are."""
    bare = replace(spec, step=None)  # type: ignore[arg-type]  # put back there
    return {"node": spec.node, "spec": pickle.dumps((bare, fields)), "devices": spec.devices}


def pickled(value: object) -> bytes:
    """Serialize a step for a child process; classes of a pipeline file travel by value: no child can import it."""
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(value))
    except Exception as error:
        raise PotstillError(f"the step can't be sent to a child process: {error}") from error


def _death(code: int, output: Path) -> str:
    """Return how a child ended without a word, with the last lines that it printed."""
    how = f"exit code {code}"
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        how = name + (" (out of memory? the system kills the largest process)" if name == "SIGKILL" else "")
    tail = last_printed(output, 8)
    return f"its process died: {how}" + (". It last printed:\n  " + "\n  ".join(tail) if tail else "")
