"""Evaluate a language model on running text: perplexity with its interval, speed and size.

Protocol: windows of one width are read in batches in the type of the weights, after one warm-up batch; logits are
compared in float32. Perplexities of a token compare only between models of one tokenizer, bits per byte between all.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from potstill.engine.step import Rows, Step
from potstill.errors import BadInput, Problem
from potstill.metrics.answers import row_digest
from potstill.models.edge import Model
from potstill.models.embeddings import check_tokens
from potstill.models.footprint import footprint, peak_memory
from potstill.models.identity import folder_of
from potstill.models.loading import config_of
from potstill.models.positions import positions_of
from potstill.models.preload import MODEL
from potstill.steps.evaluation.evaluation_sets import by_name, missing_sets
from potstill.steps.evaluation.exports import export_problems, refuse_export

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.metrics.perplexity import Loss, Stream
    from potstill.models.protocols import ModelSource
    from potstill.steps.evaluation.losses import Source


class EvaluatePerplexity(Step):
    """Let a causal model read texts, and measure how well it predicts them, how fast, and how large it is.

    Reads with transformers, which takes quantized folders too (activations are quantized as in serving). What Export
    wrote is read by its runtime, window by window; a GGUF without llama-cpp-python by transformers, which dequantizes
    it, so that its speed and memory stay unknown.

    >>> rows = LoadRows([{"text": "turn on the light in the kitchen please"}] * 8)
    >>> show(EvaluatePerplexity(student, rows, window=64))
    {'sets': {'test': {'perplexity': ..., 'bits_per_byte': ..., ...
    """

    model: Model
    """A step that makes a causal model, a local folder or a Hub id."""
    rows: Rows | Mapping[str, Rows]
    """Test rows; several sets by name, or one, which is then called `test`."""
    _: KW_ONLY
    text: str = "text"
    """Column with the text; texts follow one another, in the order of the rows."""
    separator: str = "\n\n"
    """What stands behind each text: an empty line, as in the evaluations of GPTQ and Wanda."""
    window: Annotated[int, Ge(8)] = 512
    """Tokens read at once; part of the protocol, as a longer context predicts better. The papers take 2048."""
    batch_size: Annotated[int, Ge(1)] = 8
    """Windows read at once; part of the protocol, because it sets the speed."""

    makes: ClassVar[str] = "metrics"
    heavy: ClassVar[bool] = True
    alone: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = MODEL

    def check(self) -> Iterable[Problem]:
        """Yield a problem if there is no test set, or the model is an export that can't be measured."""
        yield from missing_sets(self.rows)
        yield from export_problems(self.model, "language models", type(self).__name__)

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column of a test set."""
        return {"rows": (self.text,)}

    def run(self, model: ModelSource, rows: Dataset | Mapping[str, Dataset], context: Context) -> dict[str, Any]:
        """Measure `model` on `rows`.

        Raises:
            BadInput: a set holds no text, the model reads fewer tokens than a window has, or it is no such model.
        """
        from potstill.steps.evaluation.losses import opened

        sets = by_name(rows)
        folder = folder_of(model, exports=True)
        refuse_export(folder, "language models", type(self).__name__)
        streams = self._streams(folder, sets)
        self._check(folder, streams)
        with opened(folder, context.threads, self.window) as source:
            # warm-up batch, not counted
            self._read(source, next(iter(streams.values())), first=True)
            started = time.perf_counter()
            losses: dict[str, Loss] = {}
            for name, own in streams.items():
                losses[name] = self._read(source, own)
                context.progress(len(losses), len(streams), note=name)
                context.ledger.keep(len(sets[name]))
            seconds = time.perf_counter() - started
            memory = peak_memory()
        size = footprint(folder)
        return {
            "sets": {name: loss.figures() | self._pairing(streams[name]) for name, loss in losses.items()},
            # transformers reading a GGUF does not show llama.cpp's speed and memory
            "tokens_per_s": sum(loss.tokens for loss in losses.values()) / seconds if source.is_serving else None,
            **asdict(size),
            "bits_per_weight": size.bits_per_weight,
            "peak_memory_bytes": memory if source.is_serving else None,
            "engine": {
                "threads": context.threads,
                "window": self.window,
                "batch_size": self.batch_size,
                "seconds": seconds,
                **({"runtime": source.title} if source.title else {}),
            },
        }

    def _pairing(self, own: Stream) -> dict[str, str]:
        """Return the digest by which results on the same windows are paired."""
        return {"row_digest": row_digest([self.window, *own.tokens])}

    def _streams(self, folder: Path, sets: Mapping[str, Dataset]) -> dict[str, Stream]:
        """Return the tokens of each set."""
        from transformers import AutoTokenizer

        from potstill.metrics.perplexity import stream

        tokenizer = AutoTokenizer.from_pretrained(folder)
        return {
            name: stream(tokenizer, (text for text in rows[self.text] if text), self.separator)
            for name, rows in sets.items()
        }

    def _check(self, folder: Path, streams: Mapping[str, Stream]) -> None:
        """Check that there is something to predict, and that windows fit the model.

        Raises:
            BadInput: with all problems together.
        """
        problems = [
            f"the test set {name!r} has no text in {self.text!r}: give rows that have"
            for name, own in streams.items()
            if len(own.tokens) < 2
        ]
        config = config_of(folder)
        longest = positions_of(config)
        if longest is not None and self.window > longest:
            problems.append(f"window is {self.window}, but the model reads {longest} tokens at most: lower window")
        if problems:
            raise BadInput(*problems)
        # an embedding may have more rows than that, but none may be fewer
        check_tokens(max(max(own.tokens) for own in streams.values()), config.get_text_config().vocab_size)

    def _read(self, source: Source, own: Stream, *, first: bool = False) -> Loss:
        """Return the loss of a text, or of its first batch."""
        from potstill.metrics.perplexity import measured

        sums: list[tuple[float, int]] = []
        for batch in self._batches(own):
            sums += [(loss, len(batch[0]) - 1) for loss in source.losses(batch)]
            if first:
                break
        return measured(sums, own.size)

    def _batches(self, own: Stream) -> Iterable[list[list[int]]]:
        """Yield batches of windows of one width; the last window, which may be shorter, alone."""
        windows = list(own.windows(self.window))
        whole = [window for window in windows if len(window) == self.window]
        for start in range(0, len(whole), self.batch_size):
            yield whole[start : start + self.batch_size]
        if len(windows) > len(whole):
            yield [windows[-1]]
