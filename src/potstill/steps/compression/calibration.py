"""Calibration texts: the training rows' chats with their answers, as the model will see them, or plain texts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from potstill.engine.graph import edges, nodes_in, step_of
from potstill.engine.step import Output
from potstill.errors import BadInput, Problem
from potstill.models import chat
from potstill.models.embeddings import check_tokens
from potstill.models.positions import positions_of

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor

    from potstill.compression.pretrained import ModelConfig
    from potstill.models.protocols import Tokenizer

FEWEST_TOKENS = 128
"""With fewer tokens the statistics of a layer's inputs are noise."""
BATCH = 16
"""Texts run at once."""
MEASURED = 32
"""Texts that the agreement with the uncompressed model is measured on: it costs two passes over the whole model."""


@dataclass(frozen=True)
class Calibration:
    """Texts to run a model on."""

    texts: list[tuple[Tensor, int]]
    """Per text its token ids [T], and how many of them are the prompt's: none of a plain text."""
    cut: int
    """Texts that were longer than the limit."""
    numbers: tuple[int, ...] = ()
    """Per text the number of its row."""

    @property
    def measured(self) -> list[tuple[Tensor, int]]:
        """The texts to measure the agreement on."""
        return self.texts[:MEASURED]

    def batches(self) -> list[Tensor]:
        """Return the texts as batches [B, T] of equal length, so that no padding gets into the statistics."""
        import torch

        by_length: dict[int, list[Tensor]] = {}
        for ids, _ in self.texts:
            by_length.setdefault(len(ids), []).append(ids)
        return [
            torch.stack(group[start : start + BATCH])
            for _, group in sorted(by_length.items())
            for start in range(0, len(group), BATCH)
        ]

    def figures(self) -> dict[str, int]:
        """Return how much there is, for the manifest."""
        return {"texts": len(self.texts), "tokens": sum(len(ids) for ids, _ in self.texts), "cut": self.cut}


def test_split_behind(rows: object) -> str | None:
    """Return the type of the step whose test split `rows` come from, at any distance, if they do.

    A model that labelled the rows may have been chosen on test rows; that is another matter.
    """
    waiting, seen = list(nodes_in(rows)), set()
    while waiting:
        node = waiting.pop()
        if isinstance(node, Output) and node.name == "test":
            return type(node.step).__name__
        step = step_of(node)
        # only rows carry rows on: a model trained on a split doesn't pass its rows
        if id(step) not in seen and step.makes in ("rows", "anything"):
            seen.add(id(step))
            waiting += [parent for _, parent in edges(step)]
    return None


def not_from_a_test_split(field: str, rows: object) -> Iterator[Problem]:
    """Yield a problem of `field` if `rows` come from a test split: a model may not be fitted to them."""
    source = test_split_behind(rows)
    if source is not None:
        text = f"come from the test split of {source}: what is measured on it would be too good; give training rows"
        yield Problem("", field, text)


def calibration_texts(
    rows: Dataset,
    tokenizer: Tokenizer,
    config: ModelConfig,
    *,
    prompt: str,
    samples: int,
    max_length: int,
    seed: int,
    text: str | None = None,
) -> Calibration:
    """Draw `samples` rows that have an output, and render each as a chat with its answer; or take plain texts.

    Args:
        rows: rows with `output` and what the template needs, or with the column `text`.
        tokenizer: of the model.
        config: of the model.
        prompt: template that makes the chat.
        samples: how many rows; all of them when there are fewer.
        max_length: longest text, in tokens; longer ones are cut there.
        seed: of the draw.
        text: column of plain texts to take in place of chats.

    Raises:
        BadInput: no usable rows, too few tokens, or a length or token that the model doesn't have.
    """
    import torch

    from potstill.compression.architecture import architecture_for

    _check_length(config, max_length)
    if text is None and architecture_for(config).is_encoder:
        raise BadInput(f"a model of type {config.model_type!r} reads texts and no chats: name their column with text=")

    texts: list[tuple[Tensor, int]] = []
    numbers: list[int] = []
    cut = 0
    # a whole permutation and not `samples` numbers: rows without an answer are skipped
    for number in random.Random(seed).sample(range(len(rows)), len(rows)):
        row = rows[number]
        if text is None:
            encoded = chat.encoded_row(tokenizer, prompt, row)
            if encoded is None:
                continue
            ids, prompt_length = encoded
        elif not row.get(text):
            continue
        else:
            ids, prompt_length = tokenizer(row[text])["input_ids"], 0
        cut += len(ids) > max_length
        # cut at the end: of a long chat the prompt stays and the answer is cut
        texts.append((torch.tensor(ids[:max_length]), min(prompt_length, max_length)))
        numbers.append(number)
        if len(texts) == samples:
            break
    _check_texts(texts, len(rows), config, text or "output")
    return Calibration(texts, cut, tuple(numbers))


def _check_length(config: ModelConfig, max_length: int) -> None:
    longest = positions_of(config)
    if longest is not None and max_length > longest:
        raise BadInput(f"max_length is {max_length}, but the model reads {longest} tokens at most: lower max_length")


def _check_texts(texts: list[tuple[Tensor, int]], rows: int, config: ModelConfig, column: str) -> None:
    if not texts:
        raise BadInput(
            f"none of the {rows} calibration rows has anything in {column!r}: give some of the training rows"
        )
    tokens = sum(len(ids) for ids, _ in texts)
    if tokens < FEWEST_TOKENS:
        raise BadInput(
            f"the calibration is too short: {len(texts)} rows with {tokens} tokens, and at least {FEWEST_TOKENS} "
            "are needed; give more rows, or raise samples or max_length"
        )
    largest = max(int(ids.max()) for ids, _ in texts)
    check_tokens(largest, config.get_text_config().vocab_size)
