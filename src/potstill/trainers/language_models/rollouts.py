"""Texts that a student generates while it is trained: sampled at each step from its current distribution.

Shapes: B rows, M longest text, V vocabulary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, overload
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor

from potstill.trainers.loop.checkpoints import last_checkpoint, step_of
from potstill.trainers.loop.examples import Example, micro_batches

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


class Sampler(Protocol):
    """An engine that generates a student's texts."""

    def __call__(self, prompts: Sequence[Sequence[int]], seeds: NDArray[np.uint64]) -> list[list[int]]:
        """Return what the current student generates after each prompt, its end token included, by the row's seed."""


@dataclass(frozen=True)
class Writing:
    """Sampling parameters of a student's texts."""

    max_tokens: int
    """Longest text, its end included."""
    temperature: float
    """Divides the logits before sampling."""
    ends: tuple[int, ...]
    """Tokens that end a text."""
    vocabulary: int
    """Ids below this are sampled: the output layers of student and teacher may be padded beyond their vocabulary."""

    def cut(self, tokens: Sequence[int]) -> list[int]:
        """Return `tokens` up to the first end, included."""
        stop = next((place for place, token in enumerate(tokens) if token in self.ends), len(tokens))
        return list(tokens[: stop + 1])


class TransformersSampler:
    """Samples from the model that is trained, through its own `generate`.

    A row's samples depend on its seed alone: one uniform number a token, looked up in the cumulative distribution. So
    the other rows of a batch, and how many are generated at once, can't change a row's text beyond rounding.
    """

    def __init__(self, model: PretrainedModel, writing: Writing, rows_at_once: int) -> None:
        """Sample from `model`, so many rows at once."""
        self._model = model
        self._writing = writing
        self._rows = rows_at_once

    def __call__(self, prompts: Sequence[Sequence[int]], seeds: NDArray[np.uint64]) -> list[list[int]]:
        """Return what the current student generates after each prompt."""
        written: list[list[int]] = []
        with writing_mode(self._model) as model:
            for start in range(0, len(prompts), self._rows):
                part = slice(start, start + self._rows)
                written += self._write(model, prompts[part], seeds[part])
        return written

    def _write(
        self, model: PretrainedModel, prompts: Sequence[Sequence[int]], seeds: NDArray[np.uint64]
    ) -> list[list[int]]:
        """Return the texts of rows generated at once; prompts are padded on the left, and the padding masked."""
        writing, width = self._writing, max(len(prompt) for prompt in prompts)
        ids = torch.tensor([[writing.ends[0]] * (width - len(prompt)) + list(prompt) for prompt in prompts])
        mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        uniform = torch.from_numpy(np.stack([np.random.default_rng(seed).random(writing.max_tokens) for seed in seeds]))
        # the model's own generation config may hold penalties or a top-k, which would change the distribution
        plain = GenerationConfig(
            max_new_tokens=writing.max_tokens,
            do_sample=False,
            eos_token_id=list(writing.ends),
            pad_token_id=writing.ends[0],
            disable_compile=True,
        )
        # replaced too: what `plain` leaves unset, generate takes from the model's own
        own, model.generation_config = model.generation_config, plain
        try:
            tokens = model.generate(
                inputs=ids.to(model.device),
                attention_mask=mask.to(model.device),
                generation_config=plain,
                logits_processor=[Draws(uniform.to(model.device), width, writing)],
            )
        finally:
            model.generation_config = own
        return [writing.cut(row) for row in tokens[:, width:].tolist()]


@contextmanager
def writing_mode(model: PretrainedModel) -> Iterator[PretrainedModel]:
    """Yield the model without wrappers, in evaluation mode and without gradients."""
    wrapped: Any = model
    base = wrapped.get_base_model() if hasattr(model, "peft_config") else model
    training = base.training
    base.eval()
    try:
        with torch.no_grad():
            yield base
    finally:
        base.train(training)


class Draws(LogitsProcessor):  # type: ignore[misc] # transformers is not typed
    """Masks all logits of a row but the token that its next uniform number picks, so that greedy decoding samples."""

    def __init__(self, uniform: Tensor, width: int, writing: Writing) -> None:
        """Pick by the numbers `uniform` [B, M] after prompts of `width` tokens."""
        self._uniform = uniform
        self._width = width
        self._writing = writing

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return [B, V]: 0 at the sampled token, minus infinity elsewhere."""
        place = input_ids.shape[1] - self._width
        # float64: in float32 the cumulative sum over a vocabulary is too coarse for rare tokens
        logits = scores[:, : self._writing.vocabulary].double() / self._writing.temperature
        cumulative = logits.softmax(dim=-1).cumsum(dim=-1)
        # inverse transform sampling: the first token whose cumulative probability exceeds u; rounding may leave the
        # last sum below 1, so u is scaled by it
        threshold = self._uniform[:, place : place + 1] * cumulative[:, -1:]
        drawn = torch.searchsorted(cumulative, threshold, right=True).clamp(max=cumulative.shape[-1] - 1)
        return torch.full_like(scores, float("-inf")).scatter(-1, drawn, 0.0)


Draw = Callable[[Sequence[Example]], Sequence[Example]]
"""Replaces targets of the rows of a batch by what the student generates."""


class DrawnBatch(Sequence[dict[str, Tensor]]):
    """A batch whose texts are generated when it is first read: at its own step, not when the loader prefetches it."""

    def __init__(self, rows: Sequence[Example], budget: int, draw: Draw) -> None:
        """Hold `rows`, to be split into micro-batches of at most `budget` tokens once their texts are generated."""
        self._rows = rows
        self._budget = budget
        self._draw = draw

    @cached_property
    def _parts(self) -> list[dict[str, Tensor]]:
        return micro_batches(self._draw(self._rows), self._budget)

    def __len__(self) -> int:
        """Return the number of micro-batches."""
        return len(self._parts)

    @overload
    def __getitem__(self, index: int) -> dict[str, Tensor]: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[dict[str, Tensor]]: ...

    def __getitem__(self, index: int | slice) -> dict[str, Tensor] | Sequence[dict[str, Tensor]]:
        """Return one micro-batch, or several."""
        return self._parts[index]


@dataclass(frozen=True)
class Mixture:
    """Samples the student's texts for a share of the rows; the others keep the text of the dataset.

    The samples of a row depend on the seed, the step and its prompt, so neither a resumed run nor the split of a batch
    changes them. Validation rows have the same seeds each time, so that evaluations differ by the student alone.
    """

    sampler: Sampler
    """Generates the texts."""
    share: float
    """Chance of a row to be the student's own."""
    seed: int
    """Of all draws."""
    steps: Iterator[int]
    """Numbers of the steps to come, from 1: a training batch is sampled once, at its step."""

    def __call__(self, rows: Sequence[Example]) -> list[Example]:
        """Return the rows, some of them with a text of the student."""
        # evaluation runs without gradients
        step = next(self.steps) if torch.is_grad_enabled() else 0
        states = np.array([np.random.SeedSequence(key).generate_state(2, np.uint64) for key in self._keys(rows, step)])
        # the upper 53 bits as a float64 in [0, 1); the other word seeds the text
        own = (states[:, 0] >> np.uint64(11)) * 2.0**-53 < self.share
        chosen = [row for row, mine in zip(rows, own, strict=True) if mine]
        written = self.sampler([row.ids[: row.prompt] for row in chosen], states[own, 1]) if chosen else []
        texts = iter(written)
        return [
            Example([*row.ids[: row.prompt], *next(texts)], row.prompt) if mine else row
            for row, mine in zip(rows, own, strict=True)
        ]

    def _keys(self, rows: Sequence[Example], step: int) -> Iterator[tuple[int, ...]]:
        """Yield what the samples of each row depend on; of equal prompts, also which of them it is."""
        seen = Counter[int]()
        for row in rows:
            prompt = crc32(np.asarray(row.ids[: row.prompt], dtype=np.int64).tobytes())
            seen[prompt] += 1
            # SeedSequence takes no negative numbers
            yield self.seed % 2**63, step, prompt, seen[prompt]


def steps_to_come(work: Path) -> Iterator[int]:
    """Return the numbers of the steps that a training in the folder `work` has still to take."""
    checkpoint = last_checkpoint(work / "checkpoints")
    return count(1 + (step_of(checkpoint) if checkpoint else 0))
