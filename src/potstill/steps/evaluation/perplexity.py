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
from potstill.metrics.kept_rows import write
from potstill.models.edge import Model
from potstill.models.embeddings import check_tokens
from potstill.models.footprint import footprint, peak_memory
from potstill.models.identity import folder_of
from potstill.models.loading import config_of
from potstill.models.positions import positions_of
from potstill.models.preload import MODEL
from potstill.publishing.trackers import send
from potstill.steps.evaluation.evaluation_sets import by_name, missing_sets
from potstill.steps.evaluation.exports import export_problems, refuse_export

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource
    from potstill.steps.evaluation.losses import Source
    from potstill.steps.evaluation.reading_texts import Texts


class EvaluatePerplexity(Step):
    """Let a causal model read texts, and measure how well it predicts them, how fast, and how large it is.

    Reads with transformers, which takes quantized folders too (activations are quantized as in serving). What Export
    wrote is read by its runtime, window by window; a GGUF without llama-cpp-python by transformers, which dequantizes
    it, so that its speed and memory stay unknown. The loss of each window, or of each document, is kept in
    `rows.parquet`.

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
    documents: bool = False
    """Whether each text is read by itself, behind the token that begins a text, as lm-evaluation-harness does: with
    `window` as long as the model's context, the perplexities of a word and a byte are the harness's. By default the
    texts are one running text, as in the papers named above; of many short texts the two differ much."""

    unkeyed_defaults: ClassVar[frozenset[str]] = frozenset({"documents"})
    makes: ClassVar[str] = "metrics"
    heavy: ClassVar[bool] = True
    alone: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = MODEL
    send_results = send

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
        texts = self._texts(folder, sets)
        self._check(folder, texts)
        with opened(folder, context.threads) as source:
            # warm-up batch, not counted
            self._read(source, next(iter(texts.values())), first=True)
            started = time.perf_counter()
            losses: dict[str, list[float]] = {}
            for name, own in texts.items():
                losses[name] = self._read(source, own)
                context.progress(len(losses), len(texts), note=name)
                context.ledger.keep(len(sets[name]))
            seconds = time.perf_counter() - started
            memory = peak_memory()
        size = footprint(folder)
        measures = {name: own.loss(losses[name]) for name, own in texts.items()}
        _write(context.out, texts, losses)
        return {
            "sets": {name: loss.figures() | {"row_digest": texts[name].paired_by} for name, loss in measures.items()},
            # transformers reading a GGUF does not show llama.cpp's speed and memory
            "tokens_per_s": sum(one.tokens for one in measures.values()) / seconds if source.is_serving else None,
            **asdict(size),
            "bits_per_weight": size.bits_per_weight,
            "peak_memory_bytes": memory if source.is_serving else None,
            "engine": {
                "threads": context.threads,
                "window": self.window,
                "batch_size": self.batch_size,
                **({"documents": True} if self.documents else {}),
                "seconds": seconds,
                **({"runtime": source.title} if source.title else {}),
            },
        }

    def _texts(self, folder: Path, sets: Mapping[str, Dataset]) -> dict[str, Texts]:
        """Return the texts of each set as they are read; rows without one are passed over."""
        from transformers import AutoTokenizer

        from potstill.steps.evaluation.reading_texts import documents, running

        tokenizer = AutoTokenizer.from_pretrained(folder)
        texts: dict[str, Texts] = {}
        for name, rows in sets.items():
            every = list(rows[self.text])
            places = [place for place, text in enumerate(every) if text]
            own = [every[place] for place in places]
            if self.documents:
                ids = list(rows["id"]) if "id" in rows.column_names else range(len(rows))
                texts[name] = documents(tokenizer, own, [str(ids[place]) for place in places], self.window)
            else:
                texts[name] = running(tokenizer, own, self.separator, self.window)
        return texts

    def _check(self, folder: Path, texts: Mapping[str, Texts]) -> None:
        """Check that there is something to predict, and that windows fit the model.

        Raises:
            BadInput: with all problems together.
        """
        problems = [
            f"the test set {name!r} has no text in {self.text!r}: give rows that have"
            for name, own in texts.items()
            if not own.windows
        ]
        config = config_of(folder)
        longest = positions_of(config)
        if longest is not None and self.window > longest:
            problems.append(f"window is {self.window}, but the model reads {longest} tokens at most: lower window")
        if problems:
            raise BadInput(*problems)
        # an embedding may have more rows than that, but none may be fewer
        check_tokens(max(own.largest for own in texts.values()), config.get_text_config().vocab_size)

    def _read(self, source: Source, own: Texts, *, first: bool = False) -> list[float]:
        """Return the loss of each window, or those of the first batch alone."""
        losses = [0.0] * len(own.windows)
        for numbers in own.batches(self.batch_size):
            scored = own.windows[numbers[0]][1]
            together = source.losses([own.windows[number][0] for number in numbers], scored)
            for number, loss in zip(numbers, together, strict=True):
                losses[number] = loss
            if first:
                break
        return losses


def _write(folder: Path, texts: Mapping[str, Texts], losses: Mapping[str, list[float]]) -> None:
    """Write the loss of each window, or of each document."""
    rows = [{"set": name, **row} for name, own in texts.items() for row in own.kept(losses[name])]
    counts = [name for name in ("bytes", "words") if any(name in row for row in rows)]
    columns = {
        **dict.fromkeys(("id", "set", "input"), "text"),
        **dict.fromkeys((*counts, "completion_tokens"), "count"),
    }
    write(folder, {**columns, "score_loss": "number"}, rows)
