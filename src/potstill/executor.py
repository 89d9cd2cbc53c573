"""Where steps run. The store is the truth; an executor only places work, and no key depends on it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

from potstill.context import Progress
from potstill.errors import PotstillError
from potstill.execute import Outcome, Spec, execute
from potstill.logs import keep_printed, printed
from potstill.store import writing

LISTS = ("warnings", "changed_inputs")
"""Fields of an outcome that a child sends as lists."""
TERMINATE_SECONDS = 5.0
"""How long the zygote may take to leave before it is killed."""


class Executor(Protocol):
    """Runs steps somewhere."""

    def submit(self, spec: Spec, fields: tuple[str, ...], progress: Progress) -> Future[Outcome]:
        """Start a step; the future carries how it ended."""

    def close(self) -> None:
        """Stop everything that still runs."""


class Local:
    """This machine: light steps in this process, heavy ones in children of a warm process."""

    def __init__(self, jobs: int = 1) -> None:
        """Run up to `jobs` steps at once."""
        self._jobs = jobs
        self._pool: ThreadPoolExecutor | None = None
        self._threads: set[int] = set()
        self._children: Children | None = None

    def submit(self, spec: Spec, fields: tuple[str, ...], progress: Progress) -> Future[Outcome]:
        """Start a step; with one job, a light one is done when this returns."""
        if spec.step.heavy:
            self._children = self._children or Children()
            return self._children.submit(spec, fields, progress)
        if self._jobs > 1:
            self._pool = self._pool or ThreadPoolExecutor(self._jobs, thread_name_prefix="potstill")
            return self._pool.submit(self._in_thread, spec, fields, progress)
        future: Future[Outcome] = Future()
        future.set_result(execute(spec, fields, progress))
        return future

    def close(self) -> None:
        """Stop the children, and interrupt light steps that still run in threads."""
        if self._children is not None:
            self._children.close()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._interrupt_threads()

    def _in_thread(self, spec: Spec, fields: tuple[str, ...], progress: Progress) -> Outcome:
        """Run a light step; its thread is known while it runs."""
        self._threads.add(threading.get_ident())
        try:
            return execute(spec, fields, progress)
        finally:
            self._threads.discard(threading.get_ident())

    def _interrupt_threads(self) -> None:
        """Raise KeyboardInterrupt in the steps that run in threads; one that sits in a system call is left behind."""
        import ctypes

        for thread in list(self._threads):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))
        deadline = time.monotonic() + TERMINATE_SECONDS
        while self._threads and time.monotonic() < deadline:
            time.sleep(0.02)


class Children:
    """The zygote's side in this process: one thread reads events and completes futures."""

    def __init__(self) -> None:
        """Start the zygote in a session of its own, so that Ctrl-C reaches this process only."""
        ours, theirs = socket.socketpair()
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "potstill.zygote", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            env=environment,
        )
        theirs.close()
        self._socket = ours
        self._waiting: dict[int, tuple[Future[Outcome], Progress, Spec]] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._number = 0
        threading.Thread(target=self._read, name="potstill-children", daemon=True).start()

    def submit(self, spec: Spec, fields: tuple[str, ...], progress: Progress) -> Future[Outcome]:
        """Ask the zygote for a child that runs the step."""
        from potstill.zygote import send

        future: Future[Outcome] = Future()
        output = printed(spec.store, spec.key)
        with writing(spec.store):
            output.parent.mkdir(parents=True, exist_ok=True)
            output.unlink(missing_ok=True)
        request = {
            "id": self._number + 1,
            "spec": pickled((spec, fields)),
            "preload": list(spec.step.preload),
            "path": sys.path,
            "log": str(output),
        }
        self._number += 1
        self._waiting[self._number] = (future, progress, spec)
        try:
            send(self._socket.fileno(), request)
        except OSError:
            self._fail_all("the process that starts the steps has died")
        return future

    def close(self) -> None:
        """End the zygote and its children."""
        self._socket.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(TERMINATE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._socket.close()

    def _read(self) -> None:
        """Complete futures as children report or die."""
        from potstill.zygote import receive

        while True:
            try:
                message = receive(self._socket.fileno())
            except OSError:
                message = None
            if message is None:
                return self._fail_all("the process that starts the steps has died")
            self._handle(message["id"], message.get("event"), message.get("exit"))

    def _handle(self, number: int, event: dict[str, Any] | None, code: int | None) -> None:
        """Act on one event, or on the exit, of a child."""
        future, progress, spec = self._waiting[number]
        if event is None:
            del self._waiting[number]
            output = printed(spec.store, spec.key)
            lost = Outcome("failed", 0.0, _death(code or 0, output))
            with contextlib.suppress(OSError):
                keep_printed(spec.store, spec.key)
                output.unlink(missing_ok=True)
            future.set_result(self._outcomes.pop(number, lost))
        elif "progress" in event:
            done, total, tokens, note = event["progress"]
            with contextlib.suppress(Exception):  # a display that fails must not keep the run waiting for ever
                progress(done, total, tokens=tokens, note=note)
        else:
            outcome = event["outcome"]
            self._outcomes[number] = Outcome(**{**outcome, **{name: tuple(outcome[name]) for name in LISTS}})

    def _fail_all(self, reason: str) -> None:
        """Complete all futures with a failure."""
        for number in list(self._waiting):
            waiting = self._waiting.pop(number, None)
            if waiting is not None:
                waiting[0].set_result(Outcome("failed", 0.0, reason))


def pickled(value: Any) -> bytes:
    """Serialize a step for a child process; classes of a pipeline file travel by value: no child can import it."""
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps(value))
    except Exception as error:
        raise PotstillError(f"the step can't be sent to a child process: {error}") from error


def _death(code: int, output: Path) -> str:
    """Say how a child ended without a word, with the last lines that it printed."""
    how = f"exit code {code}"
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        how = name + (" (out of memory? the system kills the largest process)" if name == "SIGKILL" else "")
    try:
        tail = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-8:]
    except OSError:
        tail = []
    return f"its process died: {how}" + (". It last printed:\n  " + "\n  ".join(tail) if tail else "")


ProgressFactory = Callable[[str], Progress]
"""Makes the progress function of a step by its name."""
