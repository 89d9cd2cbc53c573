"""The processes that have a model loaded: started by a question, stopped by a button, when idle, or with the page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import IO, Any

from potstill.ui.chat_models import ChatModel

IDLE_SECONDS = 900.0
"""A model that was last asked longer ago is unloaded when the next question comes, whichever model that asks."""
LONGEST_LINE = 2**24
"""Bytes of a line that a process may answer."""


@dataclass
class Worker:
    """One process with its model."""

    process: asyncio.subprocess.Process
    """The process."""
    errors: IO[bytes]
    """What it prints."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while it answers: one question at a time."""
    ready: bool = False
    """Whether the model is loaded."""
    used: float = field(default_factory=time.monotonic)
    """When it was last asked."""

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

    @property
    def alive(self) -> bool:
        """Return whether it runs."""
        return self.process.returncode is None


class Workers:
    """All of them, by model."""

    def __init__(self) -> None:
        """Start without any."""
        self._workers: dict[str, Worker] = {}
        self._starting = asyncio.Lock()

    def loaded(self) -> set[str]:
        """Return the ids of the models that are loaded, or are being loaded."""
        return {name for name, worker in self._workers.items() if worker.alive}

    async def ask(self, model: ChatModel, question: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield what a model's process says to a question; when the reader goes, the answer is cancelled."""
        await self._drop_idle()
        worker = await self._worker(model)
        async with worker.turn:
            finished = False
            try:
                if not worker.ready:
                    yield {"state": "loading"}
                    first = await worker.read()
                    if "error" in first:
                        finished = True
                        await self.stop(model.id)
                        yield first
                        return
                    worker.ready = True
                yield {"state": "asked"}
                await worker.send({"ask": dict(question)})
                while not finished:
                    answer = await worker.read()
                    finished = "done" in answer or "error" in answer
                    yield answer
            finally:
                worker.used = time.monotonic()
                if not finished:
                    await asyncio.shield(self._cancelled(model.id, worker))

    async def stop(self, name: str) -> None:
        """End the process of a model, if there is one."""
        worker = self._workers.pop(name, None)
        if worker is None:
            return
        with contextlib.suppress(ProcessLookupError):
            worker.process.kill()
        await worker.process.wait()
        worker.errors.close()

    async def close(self) -> None:
        """End all."""
        for name in list(self._workers):
            await self.stop(name)

    async def _cancelled(self, name: str, worker: Worker) -> None:
        """Make a worker ready for the next question; one that still loads, or does not stop soon, is ended."""
        if not worker.ready:
            await self.stop(name)
            return
        try:
            await worker.send({"cancel": True})
            async with asyncio.timeout(10):
                answer: dict[str, Any] = {}
                while not ("done" in answer or "error" in answer):
                    answer = await worker.read()
        except (TimeoutError, OSError):
            await self.stop(name)

    async def _worker(self, model: ChatModel) -> Worker:
        """Return the process of a model, started if need be."""
        async with self._starting:
            worker = self._workers.get(model.id)
            if worker is None or not worker.alive:
                errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "potstill.ui.chat_worker",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=errors,
                    limit=LONGEST_LINE,
                    start_new_session=True,
                )
                worker = self._workers[model.id] = Worker(process, errors)
                await worker.send(asdict(model))
            return worker

    async def _drop_idle(self) -> None:
        """End those that have not been asked for `IDLE_SECONDS`."""
        now = time.monotonic()
        for name, worker in list(self._workers.items()):
            if not worker.turn.locked() and now - worker.used > IDLE_SECONDS:
                await self.stop(name)
