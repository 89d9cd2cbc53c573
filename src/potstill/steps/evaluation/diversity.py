"""Diversity metrics of texts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from potstill.engine.step import Estimate, Placement, Rows, Step
from potstill.errors import BadInput, Problem
from potstill.models.edge import Model
from potstill.models.preload import ENCODER
from potstill.models.sentence_encoder import Encoder
from potstill.steps.filtering.filter import SCAN
from potstill.steps.filtering.text_quality import measure
from potstill.text.ngrams import plain
from potstill.text.verbs import verb_and_object
from potstill.text.words import words_of

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class Diversity(Step):
    """Measures how varied a column of texts is; the more, the better, as far as the texts are right.

    - `distinct`: share of different n-grams (Li et al. 2016, distinct-n); it falls with the number of rows, so compare
      sets of one size.
    - `self_rouge_l`, and with an encoder `self_cosine`: mean similarity of all pairs of a sample.
    - `nearest_seed`, with seeds: ROUGE-L of each text to the most similar seed, as a histogram of ten equal parts (Wang
      et al. 2023, "Self-Instruct", figure 4).
    - `verbs`: the most frequent verbs of the instructions with their most frequent objects, and the share of rows in
      which both were found (figure 2 there; see `potstill.text.verbs` for the approximation).
    - `words`, and with a tokenizer `tokens`: lengths.

    >>> rows = LoadRows([{"instruction": "Write a poem about dogs"}, {"instruction": "Write a poem about cats"}])
    >>> show(Diversity(rows, ngrams=(1, 2)))
    {'rows': 2,
     'distinct': {'1': 0.6, '2': 0.625},
     'ngrams': {'1': 10, '2': 8},
     'words': {'mean': 5.0, 'min': 5, 'p5': 5, 'p25': 5, 'p50': 5, 'p75': 5, 'p95': 5, 'max': 5},
     'verbs': {'found': 1.0, 'pairs': 1, 'top': [{'verb': 'write', 'rows': 2, 'objects': {'poem': 2}}]},
     'sampled': 2,
     'self_rouge_l': 0.8}
    """

    rows: Rows
    """Rows to measure."""
    _: KW_ONLY
    column: str = "instruction"
    """Column of texts."""
    seeds: Rows | None = None
    """Rows that the texts were made from, with the same column."""
    encoder: Model | None = None
    """A sentence-transformers model, for `self_cosine`."""
    tokenizer: Model | None = None
    """A model whose tokens are counted, for `tokens`."""
    ngrams: tuple[int, ...] = (1, 2, 3)
    """Sizes of n-grams."""
    sample: Annotated[int, Ge(2)] = 500
    """Texts of which all pairs are compared; 500 have 124,750 pairs, of which the mean is exact enough."""
    seed_sample: Annotated[int, Ge(1)] = 10_000
    """Texts that are compared with the seeds."""
    parser: Callable[[str], tuple[str, str] | None] | None = None
    """Gets an instruction, returns its verb and object or None; by default rules for English imperatives. A parser of
    one's own may ask a dependency parser."""
    top_verbs: Annotated[int, Ge(1)] = 20
    """Verbs listed (20 in the paper)."""
    top_objects: Annotated[int, Ge(1)] = 4
    """Objects listed a verb (4 in the paper)."""
    seed: int = 0
    """Of the samples."""

    version: ClassVar[int] = 2  # words of every script
    makes: ClassVar[str] = "metrics"
    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ENCODER

    def placement(self) -> Placement:
        """Return the process of the run if no model is loaded, else one that has what the model needs."""
        if self.encoder is None and self.tokenizer is None:
            return Placement(heavy=False)
        return super().placement() if self.encoder is not None else Placement(heavy=True, preload=("transformers",))

    def check(self) -> Iterable[Problem]:
        """Yield sizes that are no sizes."""
        wrong = [n for n in self.ngrams if n < 1]
        if wrong:
            yield Problem("", "ngrams", f"must be at least 1, got {', '.join(map(str, wrong))}")

    def needs(self) -> Mapping[str, Iterable[str]]:
        """Return the column that is measured."""
        return {"rows": (self.column,), "seeds": (self.column,)}

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        """Make metrics, no rows."""
        return Estimate()

    def run(
        self,
        rows: Dataset,
        seeds: Dataset | None,
        encoder: ModelSource | None,
        tokenizer: ModelSource | None,
        context: Context,
    ) -> dict[str, Any]:
        """Return the metrics.

        Raises:
            BadInput: there are no rows.
        """
        if not len(rows):
            raise BadInput(Problem("", "rows", "there are none to measure: give at least one row"))
        figures = self._of_all(rows, tokenizer)
        texts = self._sample(rows, self.sample)
        figures["sampled"] = len(texts)
        if len(texts) > 1:
            from potstill.text.diversity import mean_rouge_l

            figures["self_rouge_l"] = mean_rouge_l([words_of(text) for text in texts])
        if len(texts) > 1 and encoder is not None:
            from potstill.text.cosine import mean_cosine

            figures["self_cosine"] = mean_cosine(Encoder(encoder, context).matrix(texts))
        if seeds is not None:
            figures["nearest_seed"] = self._nearest(rows, seeds)
        return figures

    def _of_all(self, rows: Dataset, tokenizer: ModelSource | None) -> dict[str, Any]:
        """Return the metrics for which every text is read once."""
        from potstill.text.diversity import DistinctNgrams, distribution

        counters = {n: DistinctNgrams(n) for n in self.ngrams}
        count_tokens = None if tokenizer is None else measure("token", tokenizer)
        lengths, tokens, parsed = Counter[int](), Counter[int](), Counter[tuple[str, str] | None]()
        parse = self.parser or verb_and_object
        for table in rows.select_columns([self.column]).with_format("arrow").iter(batch_size=SCAN):
            texts = [plain(text) for text in table[self.column].to_pylist()]
            tokens.update(count_tokens(texts) if count_tokens else ())
            parsed.update(parse(text) for text in texts)
            for text in texts:
                words = words_of(text)
                lengths[len(words)] += 1
                for counter in counters.values():
                    counter.add(words)
        return {
            "rows": len(rows),
            "distinct": {str(n): counter.share for n, counter in counters.items()},
            "ngrams": {str(n): counter.total for n, counter in counters.items()},
            "words": distribution(lengths),
            **({"tokens": distribution(tokens)} if tokens else {}),
            "verbs": self._verbs(parsed),
        }

    def _verbs(self, parsed: Counter[tuple[str, str] | None]) -> dict[str, Any]:
        """Return the most frequent verbs and their objects; ties in the order of the alphabet."""
        pairs = {pair: count for pair, count in parsed.items() if pair is not None and all(pair)}
        verbs: Counter[str] = Counter()
        for (verb, _), count in pairs.items():
            verbs[verb] += count
        top = []
        for verb, count in sorted(verbs.items(), key=lambda item: (-item[1], item[0]))[: self.top_verbs]:
            # negated counts sort the most frequent first and equal ones by name
            objects = sorted(((-here, noun) for (other, noun), here in pairs.items() if other == verb))
            shown = {noun: -here for here, noun in objects[: self.top_objects]}
            top.append({"verb": verb, "rows": count, "objects": shown})
        return {"found": sum(pairs.values()) / parsed.total(), "pairs": len(pairs), "top": top}

    def _sample(self, rows: Dataset, size: int) -> list[str]:
        """Return the texts of up to `size` rows, drawn by the seed, in their order."""
        chosen = range(len(rows))
        if len(rows) > size:
            rows = rows.select(sorted(random.Random(self.seed).sample(chosen, size)))
        return [plain(text) for text in rows[self.column]]

    def _nearest(self, rows: Dataset, seeds: Dataset) -> dict[str, Any]:
        """Return how similar texts are to the seed that each is most similar to."""
        from potstill.text.diversity import histogram
        from potstill.text.rouge_novelty import RougePool

        pool = RougePool()
        for text in seeds[self.column]:
            pool.add(plain(text))
        scores: Sequence[float] = [pool.nearest(text)[0] for text in self._sample(rows, self.seed_sample)]
        return {"rows": len(scores), "mean": sum(scores) / len(scores), "histogram": histogram(scores)}
