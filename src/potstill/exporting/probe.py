"""What an exported model is asked, and what the model in memory answers to it.

Shapes: T tokens of a text, V tokens of the vocabulary.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from potstill.compression.pretrained import PretrainedModel
    from potstill.models.protocols import Tokenizer

TEXTS = 8
"""Texts that a model writes itself where none are given."""
LENGTH = 48
"""Tokens of each."""
GIVEN = 4
"""Tokens that each starts with, drawn at random, so that the texts differ."""
PROMPT = 12
"""Tokens of a text that are taken as a prompt to be continued."""
ANSWER = 12
"""Tokens that each prompt is continued by."""
PROMPTS = 4
"""Prompts to continue."""
WORDS = (
    "Turn off the kitchen light at 21:45, please.",
    "It's 3.14159 and 1,024; isn't it?\n\n  Two  spaces\tand a tab.",
    "def add(a, b):\n    return a + b  # naïve café, 東京, Привет, 🙂",
)
"""Texts whose tokens must be the same everywhere: numbers, apostrophes, white space, other scripts."""


@dataclass(frozen=True)
class Probe:
    """The questions."""

    texts: tuple[tuple[int, ...], ...]
    """Token ids [T] of the texts whose tokens are scored."""
    starts: tuple[int, ...]
    """Per text the first token that is scored: what stands before is given, such as a prompt that no model learns."""
    prompts: tuple[tuple[int, ...], ...]
    """Token ids [T] that are continued greedily, by `ANSWER` tokens."""
    words: tuple[str, ...] = WORDS
    """Texts to tokenize."""


@dataclass(frozen=True)
class Answers:
    """What a runtime answers."""

    surprise: float
    """Sum of -log p of all scored tokens, in nats."""
    scored: int
    """How many tokens that are."""
    continued: tuple[tuple[int, ...], ...]
    """Per prompt the tokens that greedy decoding adds, up to and with the end of the text."""
    tokens: tuple[tuple[int, ...], ...]
    """Per text of `words` its token ids; empty where the runtime has no tokenizer of its own."""
    runtime: str = "transformers"
    """Who answered, with the version."""

    @property
    def perplexity(self) -> float:
        """Return exp of the mean surprise: infinite where it is too large for a number."""
        mean = self.surprise / max(self.scored, 1)
        # exp overflows above 709
        return math.exp(mean) if mean < 700 else (math.nan if math.isnan(mean) else math.inf)


class Runtime(Protocol):
    """Something that has loaded an exported model."""

    def log_probabilities(self, ids: Sequence[int], at_once: int | None = None) -> Sequence[float]:
        """Return log p of `ids[1:]`, each after those before it.

        The first `at_once` tokens are read together and the rest one by one, as in serving; `None` is half of each.
        """

    def continued(self, ids: Sequence[int], count: int) -> Sequence[int]:
        """Return up to `count` tokens that greedy decoding adds to `ids`."""

    def tokenized(self, text: str) -> Sequence[int] | None:
        """Return the token ids of `text` by the tokenizer that was exported, or `None` where there is none."""

    def title(self) -> str:
        """Return the runtime's name and version."""


@runtime_checkable
class Stepwise(Protocol):
    """A runtime that is read token by token, so that the server draws each token."""

    def begin(self, count: int) -> None:
        """Forget what was read, and make room for `count` tokens."""

    def read(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Read tokens behind those that were read, and return the logits [V] of the one that follows."""


def answers_of(runtime: Runtime, probe: Probe) -> Answers:
    """Ask `runtime` all of `probe`."""
    asked = list(zip(probe.texts, probe.starts, strict=True))
    surprise = -sum(math.fsum(runtime.log_probabilities(ids)[start - 1 :]) for ids, start in asked)
    continued = tuple(tuple(runtime.continued(ids, ANSWER)) for ids in probe.prompts)
    tokens = [runtime.tokenized(text) for text in probe.words]
    return Answers(
        surprise,
        sum(len(ids) - start for ids, start in asked),
        continued,
        tuple(tuple(ids) for ids in tokens if ids is not None),
        runtime.title(),
    )


def probe_of(texts: Sequence[tuple[Sequence[int], int]]) -> Probe:
    """Return the questions about `texts` [T], each with how many of its tokens are given and not scored.

    What is given of some, or the first tokens where nothing is, are the prompts.
    """
    usable = [(tuple(int(token) for token in ids), max(read, 1)) for ids, read in texts if len(ids) > max(read, 1)]
    prompts = [ids[: read if read > GIVEN else max(1, min(PROMPT, len(ids) // 2))] for ids, read in usable[:PROMPTS]]
    return Probe(tuple(ids for ids, _ in usable), tuple(read for _, read in usable), tuple(prompts))


def own_texts(model: PretrainedModel, seed: int) -> list[tuple[list[int], int]]:
    """Return texts that `model` writes itself, by drawing from its distribution, and how many tokens it did not write.

    They are what any model knows best, in its own language. Another model's perplexity on them is on average the
    larger, by a factor of exp(KL divergence), so weights that went wrong show.
    """
    import torch

    config = model.config.get_text_config()
    # tiny models may read fewer
    longest = min(LENGTH, getattr(config, "max_position_embeddings", None) or LENGTH)
    # on the CPU, whose generator gives the same numbers on every machine
    draw = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, config.vocab_size, (TEXTS, min(GIVEN, longest - 1)), generator=draw)
    parts, cache = [ids], None
    with torch.no_grad():
        while sum(part.shape[1] for part in parts) < longest:
            out = model(input_ids=parts[-1].to(model.device), past_key_values=cache, use_cache=True)
            cache, chances = out.past_key_values, out.logits[:, -1].float().softmax(-1).cpu()
            parts.append(torch.multinomial(chances, 1, generator=draw))
    return [(list(row), ids.shape[1]) for row in torch.cat(parts, dim=1).tolist()]


class InMemory:
    """A causal model of transformers as a runtime."""

    def __init__(self, model: PretrainedModel, tokenizer: Tokenizer, title: str = "") -> None:
        """Take a loaded `model`, its tokenizer, and how it is called."""
        import transformers

        self.model, self.tokenizer = model, tokenizer
        self._title = title or f"transformers {transformers.__version__}"

    def log_probabilities(self, ids: Sequence[int], at_once: int | None = None) -> Sequence[float]:
        """Return log p of `ids[1:]`."""
        import torch

        scores = self._logits(ids)[:-1].log_softmax(-1)
        chosen: list[float] = scores.gather(1, torch.tensor(list(ids[1:]))[:, None])[:, 0].tolist()
        return chosen

    def continued(self, ids: Sequence[int], count: int) -> Sequence[int]:
        """Return the tokens that greedy decoding adds."""
        import torch

        ends = ends_of(self.model)
        tokens: list[int] = []
        batch, cache = list(ids), None
        with torch.no_grad():
            while len(tokens) < count and not (tokens and tokens[-1] in ends):
                read = torch.tensor([batch], device=self.model.device)
                out = self.model(input_ids=read, past_key_values=cache, use_cache=True)
                cache, batch = out.past_key_values, [int(out.logits[0, -1].argmax())]
                tokens += batch
        return tokens

    def tokenized(self, text: str) -> Sequence[int]:
        """Return the token ids of `text`."""
        return plain_tokens(self.tokenizer, text)

    def title(self) -> str:
        """Return the name and version."""
        return self._title

    def _logits(self, ids: Sequence[int]) -> torch.Tensor:
        """Return the logits [T, V] of one text."""
        import torch

        with torch.no_grad():
            batch = torch.tensor([list(ids)], device=self.model.device)
            logits: torch.Tensor = self.model(input_ids=batch, use_cache=False).logits[0].float().cpu()
        return logits


def plain_tokens(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the token ids of `text` without those that a tokenizer adds at its ends."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def ends_of(model: PretrainedModel) -> set[int]:
    """Return the tokens that end a text of `model`."""
    configs = (getattr(model, "generation_config", None), model.config)
    return _ends(getattr(config, "eos_token_id", None) for config in configs)


def ends_in(folder: Path) -> set[int]:
    """Return the tokens that end a text of the model in `folder`, by its files."""
    files = (folder / name for name in ("generation_config.json", "config.json"))
    read = (json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file())
    return _ends(config.get("eos_token_id", config.get("text_config", {}).get("eos_token_id")) for config in read)


def _ends(tokens: Iterable[int | Sequence[int] | None]) -> set[int]:
    """Return the first value that says anything; chat models have several: the end of a turn and of a text."""
    first = next((one for one in tokens if one is not None), ())
    return {first} if isinstance(first, int) else set(first)
