"""Who answers behind the server: a process with the model, or vLLM's own server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

from starlette.requests import Request

from potstill.serving.served_model import ServedModel
from potstill.serving.vllm_server import VLLMServer
from potstill.web.model_process import ModelProcess

MOST_WAITING = 256
"""Requests that may wait or be answered at a time; further ones are told to come again."""
T = TypeVar("T")


class Backend(Protocol):
    """Something that answers questions to one model."""

    async def load(self) -> str:
        """Load the model; return why that failed, or nothing."""

    def ask(self, question: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield what is said to a question, the last line with `done` or `error`; closing it ends the answer."""

    async def stop(self) -> None:
        """Free the model."""

    def kill(self) -> None:
        """Free the model where nothing can be waited for."""


class Busy(Exception):
    """Too many requests wait already."""


class Gone(Exception):
    """The client has gone."""


@dataclass
class Desk:
    """Takes the questions of all who ask one model."""

    served: ServedModel
    """The model."""
    backend: Backend
    """Who answers."""
    waiting: int = 0
    """Questions that are not answered yet."""

    async def answers(self, question: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield what is said to a question.

        Raises:
            Busy: too many wait already.
        """
        if self.waiting >= MOST_WAITING:
            raise Busy
        self.waiting += 1
        lines = self.backend.ask(question)
        try:
            async for line in lines:
                yield line
        finally:
            self.waiting -= 1
            # at once, and not when the garbage is collected: the model would go on for nobody
            await lines.aclose()  # type: ignore[attr-defined]  # of an async generator

    async def last(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Return the last line that is said to a question."""
        line: dict[str, Any] = {}
        lines = self.answers(question)
        try:
            async for one in lines:
                line = one
        finally:
            await lines.aclose()  # type: ignore[attr-defined]  # of an async generator
        return line


def desk_of(served: ServedModel) -> Desk:
    """Return who takes the questions to a model; nothing is loaded yet."""
    if served.runtime == "vllm":
        return Desk(served, VLLMServer(served))
    return Desk(served, ModelProcess("potstill.serving.worker", asdict(served)))


async def while_here(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Return the result of `work`, which is cancelled when the client disconnects.

    Raises:
        Gone: they went.
    """
    task, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Gone
        return task.result()
    finally:
        leaving.cancel()
        if not task.done():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _left(request: Request) -> None:
    """Return when the client, whose request was read whole, has disconnected."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
