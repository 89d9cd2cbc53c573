"""Perplexity of a causal language model on running text.

The texts stand one after another, as GPTQ (Frantar et al. 2022, section 4) and Wanda (Sun et al. 2023, section 4)
measure theirs, in windows of one length. Windows share one token, so that every token is predicted exactly once.

Shapes: W tokens of a window, B windows of a batch, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

NORMAL_95 = 1.959964
"""Standard errors on either side of a mean that hold 95 % of a normal distribution."""


class Tokenizes(Protocol):
    """A tokenizer, as far as it is used here."""

    bos_token_id: int | None
    eos_token_id: int | None
    __call__: Callable[..., Any]


@dataclass(frozen=True)
class Stream:
    """Texts as one row of tokens."""

    tokens: list[int]
    """The first is only read, all others are predicted."""
    size: int
    """Bytes of the texts in UTF-8."""

    def windows(self, width: int) -> Iterator[list[int]]:
        """Yield windows of at most `width` tokens; each begins with the last token of the one before."""
        for start in range(0, len(self.tokens) - 1, width - 1):
            yield self.tokens[start : start + width]


@dataclass(frozen=True)
class Loss:
    """What was measured of one text."""

    total: float
    """Sum of -log p over the tokens, in nats."""
    tokens: int
    """How many were predicted."""
    size: int
    """Bytes of the text."""
    deviation: float
    """Standard error of the mean loss of a token, from the differences between windows; nan of a single one."""
    windows: tuple[float, ...] = ()
    """Mean loss of a token in each whole window, in nats."""

    def figures(self) -> dict[str, Any]:
        """Return perplexity with its 95 % interval, bits per byte, and what they were computed from.

        `row_scores` are the losses of the windows, by which two models that read the same tokens can be compared.
        """
        mean = self.total / self.tokens
        return {
            "perplexity": math.exp(mean),
            "perplexity_low": math.exp(mean - NORMAL_95 * self.deviation),
            "perplexity_high": math.exp(mean + NORMAL_95 * self.deviation),
            "bits_per_byte": self.total / math.log(2) / self.size,
            "loss": mean,
            "tokens": self.tokens,
            "bytes": self.size,
            "row_scores": [round(loss, 6) for loss in self.windows],
        }


def stream(tokenizer: Tokenizes, texts: Iterable[str], separator: str) -> Stream:
    """Return the tokens of `texts`, each followed by `separator`, behind the token that begins a text if there is one.

    Where the tokenizer has none, the first token of the text itself is read and not predicted.
    """
    first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    tokens = [] if first is None else [int(first)]
    size = 0
    for text in texts:
        tokens += tokenizer(text + separator, add_special_tokens=False, verbose=False)["input_ids"]
        size += len((text + separator).encode())
    return Stream(tokens, size)


def measured(sums: Sequence[tuple[float, int]], size: int) -> Loss:
    """Return the loss of a text of `size` bytes from the (sum, tokens) of its windows."""
    total, tokens = sum(loss for loss, _ in sums), sum(count for _, count in sums)
    mean = total / tokens
    # windows of one width weigh the same; the last, shorter one as much as it has tokens
    spread = sum((loss - mean * count) ** 2 for loss, count in sums)
    more = len(sums) / (len(sums) - 1) if len(sums) > 1 else math.nan
    longest = max(count for _, count in sums)
    windows = tuple(loss / count for loss, count in sums if count == longest)
    return Loss(total, tokens, size, math.sqrt(more * spread) / tokens, windows)


def window_losses(model: Callable[..., Any], batch: Tensor) -> Tensor:
    """Return the sum of -log p [B] of all tokens but the first of each window of `batch` [B, W], in float32."""
    import torch

    logits = model(input_ids=batch, use_cache=False).logits[:, :-1].float()
    chosen = logits.gather(-1, batch[:, 1:, None])[..., 0]
    return torch.as_tensor((logits.logsumexp(-1) - chosen).sum(-1))
