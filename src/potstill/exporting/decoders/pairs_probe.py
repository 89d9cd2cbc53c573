"""Questions about encoder-decoders, and the rules by which they write greedily.

A pair of texts is one text of a `Probe`, what the encoder reads and the decoder's targets, with `BETWEEN` between.
Shapes: S tokens of a source, T targets, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from potstill.exporting.logprobs import chosen
from potstill.exporting.probe import LENGTH, PROMPT, TEXTS, plain_tokens

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from potstill.compression.pretrained import PretrainedModel
    from potstill.models.protocols import Tokenizer

BETWEEN = -1
"""Stands between the halves of a pair; no token has this number."""


@dataclass(frozen=True)
class Rules:
    """What a decoder needs beside its logits to write: settings of a model without which it can't."""

    start: int
    """Token that it reads first."""
    first: int | None
    """Token that it must write first: the language, of mBART and M2M-100."""
    banned: tuple[int, ...]
    """Tokens that it never writes: Marian's padding."""
    ends: tuple[int, ...]
    """Tokens that end a text."""


def rules_of(generation: Mapping[str, Any], config: Mapping[str, Any]) -> Rules:
    """Return the rules in a generation config, and for what it doesn't say in a model's config."""

    def setting(name: str) -> Any:
        return config.get(name) if generation.get(name) is None else generation[name]

    ends = setting("eos_token_id")
    words = setting("bad_words_ids") or ()
    return Rules(
        int(setting("decoder_start_token_id")),
        setting("forced_bos_token_id"),
        tuple(word[0] for word in words if len(word) == 1),
        tuple(ends) if isinstance(ends, (list, tuple)) else () if ends is None else (int(ends),),
    )


def greedy(logits: Callable[[list[int]], ArrayLike], rules: Rules, count: int) -> list[int]:
    """Return up to `count` tokens, each the most probable; `logits` gives those [T, V] behind what a decoder reads."""
    import numpy as np

    tokens: list[int] = []
    while len(tokens) < count and not (tokens and tokens[-1] in rules.ends):
        if not tokens and rules.first is not None:
            tokens.append(rules.first)
            continue
        scores = np.array(logits([rules.start, *tokens]))[-1]
        scores[list(rules.banned)] = -np.inf
        tokens.append(int(scores.argmax()))
    return tokens


def pair_scores(logits: Callable[[list[int], list[int]], ArrayLike], start: int, ids: Sequence[int]) -> list[float]:
    """Return log p of `ids[1:]`, a pair: 0 for the source, and of targets by `logits(source, decoder inputs)`.

    The logits are those [T, V] behind each of the decoder inputs.
    """
    place = list(ids).index(BETWEEN)
    source, target = list(ids[:place]), list(ids[place + 1 :])
    return [0.0] * len(source) + chosen(logits(source, [start, *target[:-1]]), target)


def source_of(ids: Sequence[int]) -> list[int]:
    """Return what the encoder reads of a pair, or of a part of it."""
    return list(ids[: list(ids).index(BETWEEN)] if BETWEEN in ids else ids)


def joined(ids: Sequence[int], source: int) -> tuple[list[int], int]:
    """Return the tokens of a pair, `source` of which are the encoder's, as a probe's text, and where targets start."""
    return [*ids[:source], BETWEEN, *ids[source:]], source + 1


def own_pairs(model: PretrainedModel, seed: int) -> list[tuple[list[int], int]]:
    """Return texts that `model` writes itself, by drawing, to sources of random tokens; see `probe.own_texts`."""
    import torch

    config = model.config
    longest = min(LENGTH, getattr(config, "max_position_embeddings", None) or LENGTH)
    draw = torch.Generator().manual_seed(seed)
    sources = torch.randint(0, config.vocab_size, (TEXTS, min(PROMPT, longest)), generator=draw)
    rules = rules_of(model.generation_config.to_dict(), config.to_dict())
    written = torch.full((TEXTS, 1), rules.start)
    with torch.no_grad():
        read = model.get_encoder()(input_ids=sources)
        while written.shape[1] < longest:
            logits = model(encoder_outputs=read, decoder_input_ids=written, use_cache=False).logits[:, -1]
            chances = logits.float().softmax(-1)
            written = torch.cat([written, torch.multinomial(chances, 1, generator=draw)], 1)
    return [
        joined([*source, *target[1:]], len(source))
        for source, target in zip(sources.tolist(), written.tolist(), strict=True)
    ]


class PairsInMemory:
    """An encoder-decoder of transformers as a runtime."""

    def __init__(self, model: PretrainedModel, tokenizer: Tokenizer) -> None:
        """Take a loaded `model` and its tokenizer."""
        self.model, self.tokenizer = model, tokenizer
        self.rules = rules_of(model.generation_config.to_dict(), model.config.to_dict())

    def log_probabilities(self, ids: Sequence[int], at_once: int | None = None) -> Sequence[float]:
        """Return log p of `ids[1:]`, a pair; those of the source are 0, as nothing predicts them."""
        return pair_scores(self._logits, self.rules.start, ids)

    def continued(self, ids: Sequence[int], count: int) -> Sequence[int]:
        """Return up to `count` tokens that greedy decoding writes to a source."""
        source = source_of(ids)
        return greedy(lambda read: self._logits(source, read), self.rules, count)

    def tokenized(self, text: str) -> Sequence[int]:
        """Return the token ids of `text`."""
        return plain_tokens(self.tokenizer, text)

    def title(self) -> str:
        """Return the name and version."""
        import transformers

        return f"transformers {transformers.__version__}"

    def _logits(self, source: list[int], read: list[int]) -> Any:
        """Return the logits [T, V] behind what the decoder reads."""
        import torch

        with torch.no_grad():
            out = self.model(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([read]), use_cache=False)
        return out.logits[0].float().numpy()
