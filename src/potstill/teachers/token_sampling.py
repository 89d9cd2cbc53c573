"""Drawing the tokens of a batch, each response by its own rules and its own random numbers.

Shapes: B responses, V vocabulary, T tokens of a response, K kept entries.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from potstill.teachers.chat_tokens import Encoded
from potstill.teachers.constrained_decoding import Form
from potstill.teachers.protocol import Response, Sampling
from potstill.teachers.token_text import TextDecoder


def choose(logprobs: Tensor, temperature: Tensor, top_p: Tensor, uniform: Tensor) -> Tensor:
    """Return one token [B] from each row of `logprobs` [B, V].

    A `temperature` [B] of 0 takes the most probable token. Otherwise the token is where the distribution function of
    the nucleus, the smallest set of tokens that holds the mass `top_p` [B] (Holtzman et al. 2020, arXiv 1904.09751,
    section 3.1), passes `uniform` [B].
    """
    greedy = logprobs.argmax(-1)
    if not bool((temperature > 0).any()):
        return greedy
    warm = torch.where(temperature > 0, temperature, 1.0)[:, None]
    # double and stable: neither rounding nor the order of equal probabilities may change what is drawn
    probs, tokens = torch.softmax(logprobs.double() / warm, -1).sort(stable=True, dim=-1, descending=True)
    before = probs.cumsum(-1) - probs
    nucleus = torch.where(before < top_p[:, None], probs, 0.0)
    reached = nucleus.cumsum(-1)
    # by inversion of the distribution function: one uniform number a token, whatever the vocabulary
    place = torch.searchsorted(reached, uniform[:, None] * reached[:, -1:], right=True)
    # rounding may put a number near 1 behind the last token of the nucleus
    last = (nucleus > 0).sum(-1, keepdim=True) - 1
    drawn = tokens.gather(-1, torch.minimum(place, last)).squeeze(-1)
    return torch.where(temperature > 0, drawn, greedy)


def penalized(logprobs: Tensor, going: Sequence[SequenceState]) -> Tensor:
    """Return `logprobs` [B, V] less the presence penalty of what each response holds already; not normalized."""
    if not any(writing.sampling.presence_penalty for writing in going):
        return logprobs
    lowered = logprobs.clone()
    for row, writing in zip(lowered, going, strict=True):
        row[sorted(set(writing.ids))] -= writing.sampling.presence_penalty
    return lowered


@dataclass
class SequenceState:
    """One response while it is written."""

    sampling: Sampling
    """How it is drawn."""
    limit: int
    """Most tokens that it may have."""
    seed: int
    """Of its random numbers."""
    form: Form | None = None
    """What it is held to."""
    ids: list[int] = field(default_factory=list)
    """Its tokens so far."""
    own: list[float] = field(default_factory=list)
    """Their log-probabilities."""
    top_ids: list[Any] = field(default_factory=list)
    """[T][K] the most probable tokens."""
    top_logprobs: list[Any] = field(default_factory=list)
    """[T][K] theirs."""
    finish_reason: str = ""
    """Why it ended; empty while it goes on."""

    def __post_init__(self) -> None:
        """Start the random numbers."""
        self.random = random.Random(self.seed)


class Drawing:
    """Draws a batch token by token; hooks into transformers' `generate`, which keeps caches and positions.

    As a logits processor it leaves `generate` one token to take, and as a stopping criterion it names those that are
    finished.
    """

    def __init__(self, batch: list[SequenceState], decoder: TextDecoder, ends: Iterable[int]) -> None:
        """Write `batch`; a token of `ends` ends a response."""
        self.batch = batch
        self._decoder = decoder
        self._ends = frozenset(ends)

    def draw(self, _ids: Tensor, logits: Tensor) -> Tensor:
        """Return scores [B, V] that leave each response the token that was drawn for it."""
        live = [row for row, writing in enumerate(self.batch) if not writing.finish_reason]
        going = [self.batch[row] for row in live]
        scores = logits[live].float()
        for row, writing in zip(scores, going, strict=True):
            if writing.form is not None:
                writing.form.mask(row)
        logprobs = torch.log_softmax(scores, -1)
        drawn = choose(penalized(logprobs, going), *self._rules(going, logits.device))
        self._keep(going, logprobs, drawn)
        # `generate` takes the most probable token then, which is the one that was drawn
        forced = torch.full_like(logits, -torch.inf)
        forced[:, 0] = -1.0  # a finished response gets any token
        forced[live, drawn] = 0.0
        return forced

    def done(self, ids: Tensor, _scores: object) -> Tensor:
        """Return [B] whether each response has ended."""
        return torch.tensor([bool(writing.finish_reason) for writing in self.batch], device=ids.device)

    def _rules(self, going: list[SequenceState], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Return temperatures, nucleus masses and the next random numbers, each [B]."""
        rules = [(writing.sampling.temperature, writing.sampling.top_p, writing.random.random()) for writing in going]
        temperature, top_p, uniform = torch.tensor(rules, dtype=torch.float64, device=device).unbind(-1)
        return temperature, top_p, uniform

    def _keep(self, going: list[SequenceState], logprobs: Tensor, drawn: Tensor) -> None:
        """Add the drawn tokens [B] and their log-probabilities to the responses."""
        own = logprobs.gather(-1, drawn[:, None]).squeeze(-1).tolist()
        most = max(writing.sampling.top_k for writing in going)
        top = logprobs.topk(most) if most else None
        for row, (writing, token) in enumerate(zip(going, drawn.tolist(), strict=True)):
            writing.ids.append(token)
            if top is not None and writing.sampling.top_k:
                writing.own.append(own[row])
                writing.top_ids.append(top.indices[row, : writing.sampling.top_k].cpu().numpy())
                writing.top_logprobs.append(top.values[row, : writing.sampling.top_k].cpu().numpy())
            if token in self._ends or self._stopped(writing):
                writing.finish_reason = "stop"
            elif len(writing.ids) >= writing.limit:
                writing.finish_reason = "length"
            elif writing.form is not None:
                writing.form.accept(token)

    def _stopped(self, writing: SequenceState) -> bool:
        """Return whether the response holds a stop string."""
        stop = writing.sampling.stop
        if not stop:
            return False
        # a character takes at most four tokens: a stop string that is complete only now lies in these
        tail = self._decoder.text(writing.ids[-4 * max(map(len, stop)) - 4 :])
        return any(text in tail for text in stop) and any(text in self.text(writing) for text in stop)

    def text(self, writing: SequenceState) -> str:
        """Return the text of a response, without special tokens."""
        return self._decoder.text(writing.ids)

    def response(self, writing: SequenceState, encoded: Encoded) -> Response:
        """Return the finished response to a prompt."""
        text, prompt = self.text(writing), len(encoded.ids)
        cuts = [text.index(stop) for stop in writing.sampling.stop if stop in text]
        text = encoded.opened + (text[: min(cuts)] if cuts else text)
        if not writing.sampling.top_k:
            return Response(text, writing.finish_reason, prompt, len(writing.ids))
        return Response(
            text,
            writing.finish_reason,
            prompt,
            len(writing.ids),
            np.array(writing.ids, np.int32),
            np.array(writing.top_ids, np.int32),
            np.array(writing.top_logprobs, np.float16),
            np.array(writing.own, np.float32),
        )
