"""An exported language model as a teacher: it answers chats through the runtime that it was exported for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.exporting.probe import Runtime
from potstill.exporting.reading import format_in, reader_of
from potstill.models.card import name_of
from potstill.models.chat import prompt_ids
from potstill.models.identity import model_identity
from potstill.models.loading import config_of
from potstill.models.positions import positions_of
from potstill.teachers.protocol import Request, Response


@dataclass(frozen=True)
class ExportedTeacher:
    """What Export wrote, answering greedily, a chat at a time."""

    model: str
    """The folder."""

    @property
    def label(self) -> str:
        """Short name for reports."""
        return name_of(self.model)

    @property
    def is_serving(self) -> bool:
        """Return whether what answers here is what serves the export."""
        return reader_of(format_in(Path(self.model))).is_serving

    def identity(self) -> dict[str, Any]:
        """Return what the responses depend on."""
        return {"model": model_identity(self.model)}

    @contextmanager
    def open(self, *, threads: int) -> Iterator[ExportedSession]:
        """Load the export by its runtime, and free it."""
        import torch
        from transformers import AutoTokenizer

        from potstill.exporting.decoders import fresh_process

        torch.set_num_threads(max(1, threads))
        folder = Path(self.model)
        room = positions_of(config_of(folder)) or 0
        runtime = fresh_process.opened(reader_of(format_in(folder)).name, folder, room)
        try:
            yield ExportedSession(runtime, AutoTokenizer.from_pretrained(folder), room)
        finally:
            close = getattr(runtime, "close", None)
            if close:
                close()


@dataclass(frozen=True)
class ExportedSession:
    """An export that is loaded."""

    runtime: Runtime
    """What answers."""
    tokenizer: Any
    """Its tokenizer of transformers, which writes the chats."""
    room: int
    """Tokens that prompt and answer may have together; 0 is any number."""

    @property
    def title(self) -> str:
        """Return the runtime's name and version."""
        return self.runtime.title()

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        """Yield the greedy answer to each request, in order, or the scores of the tokens that it gives to be scored.

        One whose prompt is too long is an error.
        """
        for number, request in enumerate(requests):
            if request.scored_tokens:
                yield number, self._scored(request)
                continue
            ids = self._prompt(request)
            left = self.room - len(ids) if self.room else request.sampling.max_tokens
            if left < 1:
                text = f"the prompt has {len(ids)} tokens and the model reads {self.room}: shorten it"
                yield number, Response(text, "error", len(ids), retryable=False)
                continue
            tokens = list(self.runtime.continued(ids, min(left, request.sampling.max_tokens)))
            # runtimes return the end token too; without one the answer was cut
            ended = bool(tokens) and tokens[-1] in self._ends()
            text = self.tokenizer.decode(tokens, skip_special_tokens=True)
            stops = [place for stop in request.sampling.stop if (place := text.find(stop)) >= 0]
            ended, text = ended or bool(stops), text[: min(stops)] if stops else text
            yield number, Response(text, "stop" if ended else "length", len(ids), len(tokens))

    def _prompt(self, request: Request) -> list[int]:
        """Return the tokens of a chat, a text or tokens to be continued."""
        if request.tokens is not None:
            return list(request.tokens)
        if request.raw is not None:
            return list(self.tokenizer(request.raw, add_special_tokens=False)["input_ids"])
        return prompt_ids(self.tokenizer, request.messages)

    def _scored(self, request: Request) -> Response:
        """Return log p of the tokens to score; no runtime says which others were the most probable."""
        import numpy as np

        ids = [*(request.tokens or ()), *request.scored_tokens]
        if self.room and len(ids) > self.room:
            text = f"prompt and text to score have {len(ids)} tokens and the model reads {self.room}: shorten them"
            return Response(text, "error", len(ids), retryable=False)
        own = np.array(self.runtime.log_probabilities(ids, len(ids)), np.float32)[-len(request.scored_tokens) :]
        return Response("", "stop", len(ids), 0, np.array(request.scored_tokens, np.int32), token_logprobs=own)

    def _ends(self) -> set[int]:
        """Return the tokens that end an answer: all special ones do, as none is part of its text."""
        return set(self.tokenizer.all_special_ids)
