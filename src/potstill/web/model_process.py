"""A model in a process of its own: started by a question, stopped by a button or with the server.

Its memory is free when it has ended, and it can't take the server with it when it runs out of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any

LONGEST_LINE = 2**28
"""Bytes of a line that a process may answer: vectors of many texts are long."""
CANCEL_SECONDS = 10.0
"""How long a process may take to stop an answer that nobody waits for; then it is ended."""


@dataclass
class _Running:
    """The process while it lives."""

    process: asyncio.subprocess.Process
    """The process."""
    errors: IO[bytes]
    """What it prints."""

    async def send(self, value: Mapping[str, Any]) -> None:
        """Write a line to it."""
        assert self.process.stdin is not None, "it is started with a pipe"
        self.process.stdin.write(json.dumps(value).encode() + b"\n")
        await self.process.stdin.drain()

    async def read(self) -> dict[str, Any]:
        """Return its next line; an error where it has ended."""
        assert self.process.stdout is not None, "it is started with a pipe"
        line = await self.process.stdout.readline()
        if not line:
            code = await self.process.wait()
            return {"error": f"the process of the model ended with {code}: {self._last_printed()}", "ended": True}
        return dict(json.loads(line))

    def _last_printed(self) -> str:
        """Return the end of what it printed."""
        self.errors.seek(0)
        return self.errors.read()[-2_000:].decode("utf-8", "replace").strip() or "it printed nothing"


@dataclass
class ModelProcess:
    """One model with its process, which is started when it is asked and has none."""

    module: str
    """What is run: a module that ends in `model_child.answer_questions`."""
    model: Mapping[str, Any]
    """What the process is told first, as JSON."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while it answers: one question at a time."""
    ready: bool = False
    """Whether the model is loaded."""
    used: float = field(default_factory=time.monotonic)
    """When it was last asked."""
    _running: _Running | None = None
    _cleaning: asyncio.Task[None] | None = None

    @property
    def alive(self) -> bool:
        """Return whether the process runs."""
        return self._running is not None and self._running.process.returncode is None

    @property
    def pid(self) -> int:
        """Return the number of the process; 0 where there is none."""
        return self._running.process.pid if self._running else 0

    async def load(self) -> str:
        """Load the model, if it isn't; return why that failed, or nothing."""
        async with self.turn:
            return str((await self._loaded()).get("error", ""))

    async def ask(self, question: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield what the process says to a question; when the reader goes, the answer is cancelled."""
        async with self.turn:
            finished = True
            try:
                await self._cleaned()
                if not (self.alive and self.ready):
                    yield {"state": "loading"}
                    first = await self._loaded()
                    if "error" in first:
                        yield first
                        return
                yield {"state": "asked"}
                assert self._running is not None, "it was loaded above"
                finished = False
                await self._running.send({"ask": dict(question)})
                while not finished:
                    answer = await self._running.read()
                    finished = "done" in answer or "error" in answer
                    yield answer
            finally:
                self.used = time.monotonic()
                if not finished:
                    # nothing can be waited for here, where the reader was cancelled: the next question waits for it
                    self._cleaning = asyncio.create_task(self._cancelled())

    async def stop(self) -> None:
        """End the process, if there is one."""
        cleaning, self._cleaning = self._cleaning, None
        if cleaning is not None and cleaning is not asyncio.current_task():
            cleaning.cancel()
        running = self._running
        self.kill()
        if running is not None:
            await running.process.wait()
            running.errors.close()

    def kill(self) -> None:
        """End the process without waiting for that, where nothing can be waited for any more."""
        running, self._running, self.ready = self._running, None, False
        if running is not None:
            with contextlib.suppress(ProcessLookupError):
                running.process.kill()

    async def _loaded(self) -> dict[str, Any]:
        """Return what the process says once its model is loaded; one that can't load it has ended."""
        await self._cleaned()
        if self.alive and self.ready:
            return {"ready": True}
        if not self.alive:
            await self.stop()
            self._running = await self._started()
        assert self._running is not None, "it was started above"
        answer = await self._running.read()
        if "error" in answer:
            await self.stop()
        self.ready = "ready" in answer
        return answer

    async def _cleaned(self) -> None:
        """Wait until an answer that nobody waited for is over."""
        cleaning = self._cleaning
        if cleaning is not None:
            # it is forgotten only when it is over: who waits for it here may go, too
            await asyncio.wait([cleaning])
            self._cleaning = None

    async def _started(self) -> _Running:
        """Return the process, which loads the model now."""
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        # -P: a module of the working folder must not be taken for one of Python or of Potstill
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", self.module),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=LONGEST_LINE,
            start_new_session=True,
        )
        running = _Running(process, errors)
        await running.send(self.model)
        return running

    async def _cancelled(self) -> None:
        """Get ready for the next question; a process that does not stop soon is ended."""
        if self._running is None:
            return
        try:
            await self._running.send({"cancel": True})
            async with asyncio.timeout(CANCEL_SECONDS):
                answer: dict[str, Any] = {}
                while not ("done" in answer or "error" in answer):
                    answer = await self._running.read()
        except (TimeoutError, OSError):
            await self.stop()
