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
from potstill.models.identity import model_identity
from potstill.models.loading import config_of
from potstill.models.positions import positions_of
from potstill.teachers.chat_tokens import Encoded, Renderer
from potstill.teachers.protocol import Request, Response

UNBOUNDED = 2**31
"""Stands for the context of a model that has no longest one."""


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
        # since 2, at any of the tokens that end an answer
        return {"model": model_identity(self.model), "reads": 2}

    @contextmanager
    def open(self, *, threads: int) -> Iterator[ExportedSession]:
        """Load the export by its runtime, and free it."""
        import torch
        from transformers import AutoTokenizer

        from potstill.exporting.decoders import fresh_process

        torch.set_num_threads(max(1, threads))
        folder = Path(self.model)
        room = positions_of(config_of(folder)) or 0
        runtime = fresh_process.opened(reader_of(format_in(folder)).name, folder, threads)
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
        """Yield the greedy answer to each request, in order, or the scores of the text that it gives to be scored.

        One that is too long is an error.
        """
        # a text that is scored may fill the room, as its last token is not read
        renderer = Renderer(self.tokenizer, "", None, self.room or UNBOUNDED, spare=0)
        for number, request in enumerate(requests):
            (encoded,) = renderer.encode([request])
            if isinstance(encoded, Response):
                yield number, encoded
            elif encoded.scored:
                yield number, self._scored(encoded, request.continuation or "")
            else:
                yield number, self._written(encoded.ids, request)

    def _written(self, ids: list[int], request: Request) -> Response:
        """Return the greedy answer to a prompt."""
        tokens = list(self.runtime.continued(ids, min(self._left(ids), request.sampling.max_tokens)))
        # runtimes return the end token too; without one the answer was cut
        ended = bool(tokens) and tokens[-1] in self._ends()
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        stops = [place for stop in request.sampling.stop if (place := text.find(stop)) >= 0]
        text = text[: min(stops)] if stops else text
        return Response(text, "stop" if ended or stops else "length", len(ids), len(tokens))

    def _left(self, ids: list[int]) -> int:
        """Return how many tokens fit behind a prompt."""
        return (self.room or UNBOUNDED) - len(ids)

    def _scored(self, encoded: Encoded, text: str) -> Response:
        """Return log p of the tokens to score; no runtime says which others were the most probable."""
        import numpy as np

        targets = np.array(encoded.ids[-encoded.scored :], np.int32)
        own = np.array(self.runtime.log_probabilities(encoded.ids, len(encoded.ids)), np.float32)[-encoded.scored :]
        return Response(text, "stop", len(encoded.ids), 0, targets, token_logprobs=own)

    def _ends(self) -> set[int]:
        """Return the tokens that end an answer: all special ones do, as none is part of its text."""
        return set(self.tokenizer.all_special_ids)
