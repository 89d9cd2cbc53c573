"""Perplexity of a causal language model on running text.

The texts stand one after another, as GPTQ (Frantar et al. 2022, section 4) and Wanda (Sun et al. 2023, section 4)
measure theirs, in windows of one length. Windows share one token, so that every token is predicted exactly once.

Shapes: W tokens of a window, B windows of a batch, V vocabulary.
"""

from __future__ import annotations

import math
import re
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
    """Mean loss of a token in each whole window, or in each document, in nats."""
    words: int = 0
    """Words of the text, as white space parts them; 0 where they were not counted."""

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
            "byte_perplexity": math.exp(self.total / self.size),
            **({"word_perplexity": _exp(self.total / self.words), "words": self.words} if self.words else {}),
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


def words_in(text: str) -> int:
    """Return how many words a text has, as lm-evaluation-harness counts them: one more than its runs of white space.

    >>> words_in("turn on the light"), words_in("on "), words_in("")
    (4, 2, 1)
    """
    return len(re.split(r"\s+", text))


def document_windows(tokens: Sequence[int], first: int, width: int) -> Iterator[tuple[list[int], int]]:
    """Yield windows of a document by itself, each with how many tokens at its end are scored.

    `first` stands before the document and is only read. Windows read `width` tokens and share one, so that every token
    is predicted once; the last one reads as many, and only what is left is scored. These are the windows of
    lm-evaluation-harness (L. Gao et al. 2024, `loglikelihood_rolling`).

    >>> list(document_windows([1, 2, 3, 4, 5], 0, 2))
    [([0, 1, 2], 2), ([2, 3, 4], 2), ([3, 4, 5], 1)]
    """
    whole = [first, *tokens]
    done = 0
    while done < len(tokens):
        count = min(width, len(tokens) - done)
        done += count
        yield whole[max(0, done - width) : done + 1], count


def of_documents(losses: Sequence[float], tokens: Sequence[int], size: int, words: int) -> Loss:
    """Return the loss of several documents from that of each, in nats, and its tokens."""
    total, count = math.fsum(losses), sum(tokens)
    mean = total / count
    spread = sum((loss - mean * own) ** 2 for loss, own in zip(losses, tokens, strict=True))
    more = len(losses) / (len(losses) - 1) if len(losses) > 1 else math.nan
    means = tuple(loss / max(own, 1) for loss, own in zip(losses, tokens, strict=True))
    return Loss(total, count, size, math.sqrt(more * spread) / count, means, words)


def _exp(value: float) -> float | None:
    """Return exp of a value; `None` where it is too large for a number."""
    return math.exp(value) if value < 700 else None


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


def window_losses(model: Callable[..., Any], batch: Tensor, scored: int | None = None) -> Tensor:
    """Return the sum of -log p [B] of the last `scored` tokens of each window of `batch` [B, W], in float32.

    All but the first count where no number is given.
    """
    import torch

    first = 0 if scored is None else batch.shape[1] - 1 - scored
    # the last token is only predicted: a model may have no place for it
    logits = model(input_ids=batch if scored is None else batch[:, :-1], use_cache=False).logits
    logits = logits[:, first : batch.shape[1] - 1].float()
    chosen = logits.gather(-1, batch[:, first + 1 :, None])[..., 0]
    return torch.as_tensor((logits.logsumexp(-1) - chosen).sum(-1))
