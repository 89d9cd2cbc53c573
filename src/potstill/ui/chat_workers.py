"""The models of a run that are loaded: started by a question, stopped by a button, when idle, or with the page."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from typing import Any

from potstill.ui.chat_models import ChatModel
from potstill.web.model_process import ModelProcess

IDLE_SECONDS = 900.0
"""A model that was last asked longer ago is unloaded when the next question comes, whichever model that asks."""


class Workers:
    """All of them, by model."""

    def __init__(self) -> None:
        """Start without any."""
        self._workers: dict[str, ModelProcess] = {}

    def loaded(self) -> set[str]:
        """Return the ids of the models that are loaded, or are being loaded."""
        return {name for name, worker in self._workers.items() if worker.alive}

    async def ask(self, model: ChatModel, question: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield what a model's process says to a question; when the reader goes, the answer is cancelled."""
        await self._drop_idle()
        worker = self._workers.setdefault(model.id, ModelProcess("potstill.ui.chat_worker", asdict(model)))
        answers = worker.ask(question)
        try:
            async for answer in answers:
                yield answer
        finally:
            # at once, and not when the garbage is collected: the model would go on writing for nobody
            await answers.aclose()  # type: ignore[attr-defined]  # of an async generator

    async def close(self) -> None:
        """End all."""
        for name in list(self._workers):
            await self._workers.pop(name).stop()

    async def _drop_idle(self) -> None:
        """End those that have not been asked for `IDLE_SECONDS`."""
        now = time.monotonic()
        for name, worker in list(self._workers.items()):
            if not worker.turn.locked() and now - worker.used > IDLE_SECONDS:
                await self._workers.pop(name).stop()
