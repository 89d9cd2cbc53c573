"""How many times as fast as another a classifier is: both in turn, so that what else the machine does meets both.

A forward pass of the model alone over test texts that are tokenized before, one at a time as in DistilBERT's table 3
(Sanh et al. 2019, arXiv 1910.01108), and 64 at a time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

TEXTS = 512
"""So many texts are read in a round of batches, and an eighth of them one at a time."""
ROUNDS = 9


class Speed(NamedTuple):
    """How fast a model is beside the first one, over rounds."""

    seconds: float
    """Of a text, in the median round."""
    times: float
    """As fast as the first, by the median of the rounds' ratios."""
    least: float
    """The same, by the least."""
    most: float
    """By the greatest."""


def speeds(folders: Mapping[str, Path], texts: Sequence[str], batch_size: int, threads: int = 1) -> dict[str, Speed]:
    """Measure the classifiers in `folders` on some of `texts`, by transformers."""
    import torch

    torch.set_num_threads(threads)
    with torch.inference_mode():
        return in_turn({name: loaded(folder, texts, batch_size) for name, folder in folders.items()})


def in_turn(passes: Mapping[str, tuple[Callable[[], None], int]]) -> dict[str, Speed]:
    """Measure passes over texts, of which there are so many, in turn and several times; beside the first of them."""
    taken: dict[str, list[float]] = {name: [] for name in passes}
    for number in range(ROUNDS + 1):
        for name, (read, count) in passes.items():
            started = time.perf_counter()
            read()
            if number:  # the first round warms up
                taken[name].append((time.perf_counter() - started) / count)
    first = next(iter(taken.values()))
    actual = {}
    for name, seconds in taken.items():
        ratios = [theirs / ours for theirs, ours in zip(first, seconds, strict=True)]
        actual[name] = Speed(statistics.median(seconds), statistics.median(ratios), min(ratios), max(ratios))
    return actual


def batches_of(texts: Sequence[str], batch_size: int) -> list[list[str]]:
    """Return the texts that are read in a round, by length and `batch_size` at a time."""
    ordered = sorted(texts[:TEXTS] if batch_size > 1 else texts[: TEXTS // 8], key=len)
    return [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]


def loaded(folder: Path, texts: Sequence[str], batch_size: int) -> tuple[Callable[[], None], int]:
    """Return a pass of a classifier over its tokenized batches, and how many texts they are."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    parts = batches_of(texts, batch_size)
    tokens = [tokenizer(part, padding=True, return_tensors="pt") for part in parts]

    def read() -> None:
        for batch in tokens:
            model(**batch)

    return read, sum(map(len, parts))


def table(folders: Mapping[str, Path], texts: Sequence[str], threads: int = 1) -> str:
    """Return the speeds one text at a time and in batches of 64, a line for each model."""
    lines = [f"{threads} threads{'':<23}ms a text, one at a time  times as fast      64 at a time  times as fast"]
    alone, together = (speeds(folders, texts, size, threads) for size in (1, 64))
    for name in folders:
        one, many = alone[name], together[name]
        lines.append(
            f"{name:<32}{1000 * one.seconds:>24.2f}{one.times:>7.2f} ({one.least:.2f}-{one.most:.2f})"
            f"{1000 * many.seconds:>15.2f}{many.times:>7.2f} ({many.least:.2f}-{many.most:.2f})"
        )
    return "\n".join(lines)
