"""Calibration texts: the training rows' chats with their answers, as the model will see them, or plain texts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from potstill.engine.graph import edges, nodes_in, step_of
from potstill.engine.step import Output
from potstill.errors import BadInput, Problem
from potstill.models import chat, encoder_decoder
from potstill.models.embeddings import check_tokens
from potstill.models.positions import positions_of

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor

    from potstill.compression.layerwise import Block
    from potstill.compression.pretrained import ModelConfig, PretrainedModel
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
    """Per text its token ids [T], and how many of them are the prompt's: none of a plain text. Of an encoder-decoder
    those are the encoder's, and the others the decoder's targets."""
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

    def walk(self, model: PretrainedModel) -> Iterator[Block]:
        """Yield each block of `model` with its inputs on the texts; of an encoder-decoder the encoder's come first."""
        from potstill.compression.architecture import architecture_of
        from potstill.compression.layerwise import walk, walk_pairs
        from potstill.compression.text_pairs import pairs_of, start_token

        if architecture_of(model).decoder_blocks:
            return walk_pairs(model, pairs_of(self.texts, start_token(model.config)))
        return walk(model, self.batches())

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
    arch = architecture_for(config)
    if text is None and arch.is_encoder:
        raise BadInput(f"a model of type {config.model_type!r} reads texts and no chats: name their column with text=")
    if text is not None and arch.decoder_blocks:
        raise BadInput(
            f"a model of type {config.model_type!r} reads one text and writes another, and text={text!r} names one: "
            "leave it out, and give rows with a prompt and an output"
        )
    encode = encoder_decoder.encode if arch.decoder_blocks else chat.encode

    texts: list[tuple[Tensor, int]] = []
    numbers: list[int] = []
    cut = 0
    # a whole permutation and not `samples` numbers: rows without an answer are skipped
    for number in random.Random(seed).sample(range(len(rows)), len(rows)):
        row = rows[number]
        if text is None:
            encoded = chat.encoded_row(tokenizer, prompt, row, encode)
            if encoded is None:
                continue
            ids, prompt_length = encoded
        elif not row.get(text):
            continue
        else:
            ids, prompt_length = tokenizer(row[text])["input_ids"], 0
        # each of a pair is cut, or one text at its end: of a long chat the prompt stays and the answer is cut
        source = ids[: min(prompt_length, max_length)] if arch.decoder_blocks else []
        rest = ids[prompt_length if arch.decoder_blocks else 0 :][:max_length]
        cut += len(source) + len(rest) < len(ids)
        texts.append((torch.tensor([*source, *rest]), min(prompt_length, max_length)))
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
