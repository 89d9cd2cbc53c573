"""Evaluate translations, or other outputs with one reference each: BLEU, chrF, speed and size.

Protocol: rows are read in batches, sorted by length, after one warm-up batch; the journal is left alone, because the
speed counts. Compare only models that were measured by the same search, type and batch size on the same machine.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, asdict
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge

from potstill.engine.step import Rows
from potstill.errors import BadInput, Problem
from potstill.metrics.answers import row_digest
from potstill.metrics.kept_rows import write
from potstill.metrics.translation import corpus_scores, missing_sacrebleu, sentence_scores
from potstill.models.edge import Model
from potstill.models.footprint import footprint, peak_memory
from potstill.models.identity import folder_of
from potstill.prompts import REMEDY, rendered
from potstill.publishing.trackers import send
from potstill.steps.evaluation.evaluation_sets import by_name, missing_sets
from potstill.steps.evaluation.exports import export_problems, refuse_export
from potstill.steps.generation.search_base import SearchStep, search_of
from potstill.steps.rows.prompt_columns import prompt_columns
from potstill.teachers.search import Decoder, Hypothesis

if TYPE_CHECKING:
    from pathlib import Path

    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource
    from potstill.steps.evaluation.exported_decoder import ExportedDecoder

FEATURE = "EvaluateTranslation"
COLUMNS = {
    **dict.fromkeys(("id", "set", "input", "gold", "answer", "finish_reason"), "text"),
    "completion_tokens": "count",
    "score_chrf": "number",
}
"""What is kept of each row, and what the columns hold."""


class EvaluateTranslation(SearchStep):
    """Let a model translate test rows, and measure quality, speed and size.

    Each row is kept with its translation and its chrF in `rows.parquet`, beside the figures.
    BLEU and chrF are sacrebleu's, from 0 to 100, with the signature that says how they were computed. What `Export`
    wrote of an encoder-decoder is measured through ONNX Runtime, greedily.

    >>> rows = LoadRows([{"instruction": "a cat on a mat", "output": "eine Katze auf einer Matte"}])
    >>> model = RandomSeq2Seq(TrainTokenizer(rows, vocab_size=300), hidden_size=32, layers=1, dropout=0.0)
    >>> learned = HardLabel(rows, student=model, epochs=60, learning_rate=0.01)
    >>> show(EvaluateTranslation(learned, rows, method="beam", beams=2))
    {'sets': {'test': {'n': 1, 'bleu': 100.0, 'chrf': 100.0, 'length_ratio': 1.0, ...
    """

    model: Model
    """A step that makes a model, a local folder or a Hub id."""
    rows: Rows | Mapping[str, Rows]
    """Test rows; several sets by name, or one, which is then called `test`."""
    _: KW_ONLY
    reference: str = "output"
    """Column with the right translation."""
    method: Literal["greedy", "beam"] = "greedy"
    """How an output is searched for."""
    lowercase: bool = False
    """Whether upper and lower case are the same."""
    examples: Annotated[int, Ge(0)] = 5
    """Translations a test set that are kept to look at."""

    version: ClassVar[int] = 2  # the runtime is named
    makes: ClassVar[str] = "metrics"
    send_results = send
    alone: ClassVar[bool] = True

    def check(self) -> Iterable[Problem]:
        """Yield a problem if there is no test set, no sacrebleu, or the model is another export."""
        yield from missing_sets(self.rows)
        yield from export_problems(self.model, "encoder-decoders", FEATURE)
        missing = missing_sacrebleu(FEATURE)
        if missing is not None:
            yield Problem("", "", str(missing))

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the columns of a test set."""
        return {"rows": (self.reference, *prompt_columns(self.prompt))}

    def run(self, model: ModelSource, rows: Dataset | Mapping[str, Dataset], context: Context) -> dict[str, Any]:
        """Measure `model` on `rows`.

        Raises:
            BadInput: a row without reference, or one that is too long for the model; all of them together.
            MissingExtra: sacrebleu is not installed.
        """
        missing = missing_sacrebleu(FEATURE)
        if missing is not None:
            raise missing
        sets = by_name(rows)
        folder = folder_of(model, exports=True)
        decoder = self._decoder(folder, context.threads)
        prompts = self._prompts(sets, decoder)
        # warm-up batch, not counted
        self._write(decoder, [ids for own in prompts.values() for ids in own][: self.batch_size])
        outputs_of: dict[str, list[Hypothesis]] = {}
        started = time.perf_counter()
        for name, own in prompts.items():
            outputs_of[name] = self._write(decoder, own, context)
        seconds = time.perf_counter() - started
        memory, size = peak_memory(), footprint(folder)
        outputs = [output for own in outputs_of.values() for output in own]
        context.ledger.keep(len(outputs))
        scored = {name: self._score(outputs_of[name], sets[name]) for name in sets}
        rows = (self._rows(name, outputs_of[name], sets[name], scored[name]["row_scores"]) for name in sets)
        write(context.out, COLUMNS, chain.from_iterable(rows))
        return {
            "sets": scored,
            "tokens_per_s": sum(output.tokens for output in outputs) / seconds,
            "rows_per_s": len(outputs) / seconds,
            **asdict(size),
            "bits_per_weight": size.bits_per_weight,
            "peak_memory_bytes": memory,
            "engine": asdict(search_of(self))
            | {"runtime": decoder.runtime, "dtype": decoder.dtype, "threads": context.threads}
            | {"batch_size": self.batch_size, "seconds": seconds},
        }

    def _decoder(self, folder: Path, threads: int) -> Decoder | ExportedDecoder:
        """Return what writes: transformers, or the runtime that a model was exported for.

        Raises:
            BadInput: it is an export that can't be measured, or not by this search.
        """
        from potstill.exporting.reading import is_encoder_decoder

        refuse_export(folder, "encoder-decoders", FEATURE)
        if not is_encoder_decoder(folder):
            return Decoder(folder, self.dtype, threads)
        from potstill.steps.evaluation.exported_decoder import ExportedDecoder

        if self.method != "greedy":
            text = f"is {self.method!r}, and an export writes greedily: set greedy, or give the model it was made of"
            raise BadInput(Problem("", "method", text))
        return ExportedDecoder(folder, threads)

    def _prompts(self, sets: Mapping[str, Dataset], decoder: Decoder | ExportedDecoder) -> dict[str, list[list[int]]]:
        """Return the tokens of all prompts, by set.

        Raises:
            BadInput: a set has no rows, or a row can't be measured.
        """
        problems = [f"the test set {name!r} has no rows: give at least one" for name in sets if not len(sets[name])]
        prompts: dict[str, list[list[int]]] = {name: [] for name in sets}
        for name, rows in sets.items():
            for number, row in enumerate(rows):
                place = f"row {row.get('id', number)!r} of the test set {name!r}"
                if not isinstance(row[self.reference], str):
                    problems.append(f"{place}: {self.reference!r} must be text, got {row[self.reference]!r:.80}")
                chat = rendered(self.prompt, row)
                if not isinstance(chat, list):
                    problems.append(f"{place}: {chat.reason}; {REMEDY}")
                    continue
                ids = decoder.ids(chat)
                refusal = decoder.refusal(ids, self.max_tokens)
                if refusal:
                    problems.append(f"{place}: {refusal}; lower max_tokens, or leave the row out")
                prompts[name].append(ids)
        if problems:
            raise BadInput(*problems)
        return prompts

    def _write(
        self, decoder: Decoder | ExportedDecoder, prompts: Sequence[list[int]], context: Context | None = None
    ) -> list[Hypothesis]:
        """Return the best output to each prompt; reports progress."""
        # longest first: memory runs out in the first batch or never
        order = sorted(range(len(prompts)), key=lambda number: len(prompts[number]), reverse=True)
        best: dict[int, Hypothesis] = {}
        search = search_of(self)
        for first in range(0, len(order), self.batch_size):
            batch = order[first : first + self.batch_size]
            hypotheses = decoder.write([prompts[number] for number in batch], search, [0] * len(batch))
            best |= {number: search.ranked(own)[0] for number, own in zip(batch, hypotheses, strict=True)}
            if context is not None:
                context.progress(len(best), len(prompts))
        return [best[number] for number in range(len(prompts))]

    def _score(self, outputs: Sequence[Hypothesis], rows: Dataset) -> dict[str, Any]:
        """Return the metrics of one test set."""
        texts, references = [output.text for output in outputs], list(rows[self.reference])
        shown = zip(texts[: self.examples], references[: self.examples], strict=True)
        return {
            "n": len(texts),
            **asdict(corpus_scores(texts, references, self.lowercase)),
            "row_scores": sentence_scores(texts, references, self.lowercase),
            "row_digest": row_digest(references),
            "cut": sum(output.finish_reason != "stop" for output in outputs),
            "examples": [{"output": text, "reference": reference} for text, reference in shown],
        }

    def _rows(
        self, name: str, outputs: Sequence[Hypothesis], rows: Dataset, scores: Sequence[float]
    ) -> Iterator[dict[str, Any]]:
        """Yield what is kept of the rows of the test set `name`."""
        for number, (row, output, score) in enumerate(zip(rows, outputs, scores, strict=True)):
            chat = rendered(self.prompt, row)
            yield {
                "id": str(row.get("id", number)),
                "set": name,
                "input": chat[-1]["content"] if isinstance(chat, list) else None,
                "gold": row[self.reference],
                "answer": output.text,
                "finish_reason": output.finish_reason,
                "completion_tokens": output.tokens,
                "score_chrf": score,
            }
