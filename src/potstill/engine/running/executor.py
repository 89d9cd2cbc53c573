"""Where steps run. The store is the truth; an executor only places work, and no key depends on it."""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from potstill.engine.context import Progress
from potstill.engine.resources import Machine
from potstill.engine.running.budget import Budget
from potstill.engine.running.carried import carried
from potstill.engine.running.children import (
    TERMINATE_SECONDS,
    Children,
    heavy_request,
    light_request,
    start_fork_server,
)
from potstill.engine.running.execute import execute
from potstill.engine.running.interrupts import noticed
from potstill.engine.running.own_code import holds_own_code
from potstill.engine.running.spec import Outcome, Spec
from potstill.engine.step import Step


class Executor(Protocol):
    """Runs steps somewhere."""

    def hold(self, steps: Sequence[Step]) -> AbstractContextManager[None]:
        """Keep what `steps` depend on in this process as it is now, until the run ends."""

    def submit(self, spec: Spec, fields: tuple[str, ...], progress: Progress) -> Future[Outcome]:
        """Start a step; the future carries how it ended."""

    def close(self) -> None:
        """Stop everything that still runs."""


class Local:
    """This machine: Potstill's light steps in this process, the user's in forks of it, heavy ones in a warm one's."""

    def __init__(
        self,
        jobs: int = 1,
        *,
        forks: bool = True,
        cpus: int | None = None,
        gpus: Iterable[str | int] | None = None,
        memory: int | None = None,
    ) -> None:
        """Run up to `jobs` steps at once; without `forks`, all light ones in this process, as debuggers want them.

        Args:
            jobs: how many steps may run at once, if the machine has room for them.
            forks: whether light steps of the user's run in processes of their own.
            cpus: cores to share out; None is those that this process may use, and at least one a job.
            gpus: GPUs to share out, as `CUDA_VISIBLE_DEVICES` names them; None is what `POTSTILL_GPUS` or
                `CUDA_VISIBLE_DEVICES` name, else all.
            memory: bytes to share out; None is the machine's, or its container's.
        """
        self._jobs = jobs
        here = Machine.here()
        self.budget = Budget(
            Machine(
                cpus or max(here.cpus, jobs),
                here.gpus if gpus is None else tuple(map(str, gpus)),
                memory or here.memory,
            ),
            jobs,
        )
        self._forks = forks
        self._pool: ThreadPoolExecutor | None = None
        self._threads: set[int] = set()
        self._fork_server: Children | None = None
        # a copy: light steps in this process may change os.environ before the first heavy one starts
        self._environment = dict(os.environ)
        self._held: dict[int, _Held] = {}
        self._modules = b""

    @contextmanager
    def hold(self, steps: Sequence[Step]) -> Iterator[None]:
        """Keep this process's state as it is now, for the light steps among `steps` that are not Potstill's own.

        For the heavy ones, keep the user's modules.
        """
        heavy = [step for step in steps if step.placement().heavy]
        # pickled now: when a heavy step starts, files and variables may be other ones
        self._modules = pickle.dumps(carried(heavy)) if heavy else b""
        own = [step for step in steps if self._forks and not step.placement().heavy and holds_own_code(step)]
        if not own:
            yield
            return
        held = _Held(own)
        self._held |= {id(step): held for step in own}
        try:
            yield
        finally:
            for step in own:
                del self._held[id(step)]
            held.close()

    def submit(self, spec: Spec, fields: tuple[str, ...], progress: Progress) -> Future[Outcome]:
        """Start a step; with one job, a light one of Potstill's own is done when this returns."""
        if spec.step.placement().heavy:
            self._fork_server = self._fork_server or start_fork_server(self._environment)
            modules = self._modules or pickle.dumps(carried([spec.step]))
            return self._fork_server.submit(spec, progress, heavy_request(spec, fields, modules))
        if spec.node in self._held:
            return self._held[spec.node].children().submit(spec, progress, light_request(spec, fields))
        if self._jobs > 1:
            self._pool = self._pool or ThreadPoolExecutor(self._jobs, thread_name_prefix="potstill")
            return self._pool.submit(self._in_thread, spec, fields, progress)
        future: Future[Outcome] = Future()
        with noticed() as interrupts:
            future.set_result(execute(spec, fields, progress, lambda: interrupts.came))
        return future

    def close(self) -> None:
        """Stop the children, and interrupt light steps that still run in threads."""
        if self._fork_server is not None:
            self._fork_server.close()
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

        # nothing ends a thread from outside; this exception is raised at its next bytecode
        for thread in list(self._threads):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(KeyboardInterrupt))
        deadline = time.monotonic() + TERMINATE_SECONDS
        while self._threads and time.monotonic() < deadline:
            time.sleep(0.02)


class _Held:
    """The fork of this process that runs the light steps of one run."""

    def __init__(self, steps: Sequence[Step]) -> None:
        """Fork at once, before anything runs."""
        self._steps = steps
        self._children = self._started()

    def children(self) -> Children:
        """Return the fork's children; a fork that a step has killed is replaced: this process is as it was."""
        if self._children.gone:
            self._children.close()
            self._children = self._started()
        return self._children

    def close(self) -> None:
        """End the fork."""
        self._children.close()

    def _started(self) -> Children:
        """Fork this process."""
        from potstill.engine.running import forks

        return Children(*forks.start(self._steps))
