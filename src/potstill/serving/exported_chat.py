"""An exported language model that chats: its runtime gives logits, and each token is drawn here as for any teacher.

Shapes: V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.errors import BadInput
from potstill.exporting.probe import Runtime, Stepwise, ends_in
from potstill.models.chat import check_tokenizer, end_of_turn
from potstill.models.loading import config_of
from potstill.models.positions import positions_of
from potstill.teachers.chat_tokens import Renderer
from potstill.teachers.protocol import Request, Response

if TYPE_CHECKING:
    from potstill.exporting.exporter import RuntimeName

UNBOUNDED = 2**31
"""Stands for the context of a model that has no longest one."""


@contextmanager
def open_export(folder: Path, name: RuntimeName, threads: int) -> Iterator[ExportSession]:
    """Load the export in `folder` by the runtime of a `name`, and free it.

    Raises:
        BadInput: it can't chat.
    """
    import torch
    from transformers import AutoTokenizer

    torch.set_num_threads(max(1, threads))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    check_tokenizer(tokenizer)
    runtime = _runtime(folder, name, threads)
    if not isinstance(runtime, Stepwise):
        raise BadInput(f"{name} gives no logits token by token, so it does not serve {folder}")
    longest = [getattr(runtime, "longest", None), positions_of(config_of(folder))]
    limit = min((one for one in longest if one), default=UNBOUNDED)
    ends = frozenset(ends_in(folder) | {tokenizer.eos_token_id, end_of_turn(tokenizer)})
    try:
        yield ExportSession(runtime, Renderer(tokenizer, "", None, limit, spare=0), ends)
    finally:
        close = getattr(runtime, "close", None)
        if close:
            close()


def _runtime(folder: Path, name: RuntimeName, threads: int) -> Runtime:
    """Load the export; llama.cpp without a row of logits for every token that was read."""
    if name == "llama.cpp":
        from potstill.exporting.decoders.gguf_runtime import LlamaCpp

        return LlamaCpp(folder, threads, scores=False)
    from potstill.exporting.decoders import fresh_process

    return fresh_process.opened(name, folder, threads)


@dataclass(frozen=True)
class ExportSession:
    """An export that is loaded."""

    runtime: Stepwise
    """What answers."""
    renderer: Renderer
    """Turns chats into tokens."""
    ends: frozenset[int]
    """Tokens that end an answer."""

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        """Yield `(index, response)` in order, one request at a time."""
        for index, request in enumerate(requests):
            yield index, self.stream(request, lambda text: None)

    def stream(self, request: Request, show: Callable[[str], None]) -> Response:
        """Return the response, calling `show` with the text so far after each token."""
        import torch

        from potstill.teachers.token_sampling import Drawing, SequenceState

        (prompt,) = self.renderer.encode([request])
        if isinstance(prompt, Response):
            return prompt
        limit = min(request.sampling.max_tokens, self.renderer.limit - len(prompt.ids))
        writing = SequenceState(request.sampling, limit, request.seed)
        drawing = Drawing([writing], self.renderer.decoder, self.ends)
        self.runtime.begin(len(prompt.ids) + limit)
        unread = prompt.ids
        while not writing.finish_reason:
            logits = torch.as_tensor(self.runtime.read(unread), dtype=torch.float32)[None]
            drawing.draw(torch.empty(0), logits)
            show(prompt.opened + drawing.text(writing))
            unread = writing.ids[-1:]
        response: Response = drawing.response(writing, prompt)
        return response
