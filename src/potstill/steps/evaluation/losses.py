"""Losses of windows of text, computed by transformers or by the runtime that a model was exported for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.exporting.reading import format_in, reader_of
from potstill.models.loading import pretrained


@dataclass(frozen=True)
class Source:
    """A language model that is loaded."""

    losses: Callable[[Sequence[list[int]], int | None], list[float]]
    """Returns the sum of -log p of the last tokens, for each window of one width; of all but the first for None."""
    title: str = ""
    """The runtime and its version; empty for transformers."""
    is_serving: bool = True
    """Whether its speed and memory are those of serving."""


@contextmanager
def opened(folder: Path, threads: int) -> Iterator[Source]:
    """Load the model in `folder`, and free it."""
    import torch

    torch.set_num_threads(max(1, threads))
    fmt = format_in(folder)
    if not fmt:
        yield Source(_by_torch(folder))
        return
    from potstill.exporting.decoders import fresh_process

    reader = reader_of(fmt)
    runtime = fresh_process.opened(reader.name, folder, threads)

    def losses(windows: Sequence[list[int]], scored: int | None) -> list[float]:
        # fsum: exact, so that the sum doesn't depend on the order of tokens
        each = [list(runtime.log_probabilities(ids, len(ids))) for ids in windows]
        return [-math.fsum(own if scored is None else own[len(own) - scored :]) for own in each]

    try:
        yield Source(losses, runtime.title(), reader.is_serving)
    finally:
        close = getattr(runtime, "close", None)
        if close:
            close()


def _by_torch(folder: Path) -> Callable[[Sequence[list[int]], int | None], list[float]]:
    """Return a function that computes losses with a Hugging Face folder's model, on the GPU if there is one."""
    import torch
    from transformers import AutoModelForCausalLM

    from potstill.metrics.perplexity import window_losses

    loaded: Any = pretrained(AutoModelForCausalLM, folder, "predict tokens", {"dtype": "auto"}).eval()
    loaded = loaded.to("cuda") if torch.cuda.is_available() else loaded

    def losses(windows: Sequence[list[int]], scored: int | None) -> list[float]:
        with torch.inference_mode():
            sums: list[float] = window_losses(loaded, torch.tensor(windows).to(loaded.device), scored).tolist()
        return sums

    return losses
