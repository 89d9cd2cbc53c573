"""How many times as fast as another a classifier is: both in turn, so that what else the machine does meets both.

A forward pass of the model alone over test texts that are tokenized before, one at a time as in DistilBERT's table 3
(Sanh et al. 2019, arXiv 1910.01108), and 64 at a time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
    """Measure the classifiers in `folders` on some of `texts`, in turn and several times."""
    import torch

    torch.set_num_threads(threads)
    few = texts[:TEXTS] if batch_size > 1 else texts[: TEXTS // 8]
    models = {name: loaded(folder, few, batch_size) for name, folder in folders.items()}
    taken: dict[str, list[float]] = {name: [] for name in models}
    for number in range(ROUNDS + 1):
        for name, (model, batches) in models.items():
            seconds = once(model, batches) / len(few)
            if number:  # the first round warms up
                taken[name].append(seconds)
    return beside_the_first(taken)


def beside_the_first(taken: Mapping[str, Sequence[float]]) -> dict[str, Speed]:
    """Return the speeds from the seconds of a text, round by round; the first is what the others are compared with."""
    first = next(iter(taken.values()))
    found = {}
    for name, seconds in taken.items():
        ratios = [theirs / ours for theirs, ours in zip(first, seconds, strict=True)]
        found[name] = Speed(statistics.median(seconds), statistics.median(ratios), min(ratios), max(ratios))
    return found


def loaded(folder: Path, texts: Sequence[str], batch_size: int) -> tuple[Any, list[Any]]:
    """Return a classifier and its batches, texts by length."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    ordered = sorted(texts, key=len)
    parts = [ordered[start : start + batch_size] for start in range(0, len(ordered), batch_size)]
    return model, [tokenizer(part, padding=True, return_tensors="pt") for part in parts]


def once(model: Any, batches: Sequence[Any]) -> float:
    """Return the seconds that `model` takes for all batches."""
    import torch

    started = time.perf_counter()
    with torch.inference_mode():
        for batch in batches:
            model(**batch)
    return time.perf_counter() - started


def table(folders: Mapping[str, Path], texts: Sequence[str], threads: int = 1) -> str:
    """Return the speeds one text at a time and in batches of 64, a line for each model."""
    lines = [f"{threads} threads{'':<23}ms a text, one at a time  times as fast      64 at a time  times as fast"]
    alone, together = (speeds(folders, texts, size, threads) for size in (1, 64))
    for name in folders:
        one, many = alone[name], together[name]
        lines.append(f"{name:<32}{1000 * one.seconds:>24.2f}{one.times:>7.2f} ({one.least:.2f}-{one.most:.2f})"
                     f"{1000 * many.seconds:>15.2f}{many.times:>7.2f} ({many.least:.2f}-{many.most:.2f})")  # fmt: skip
    return "\n".join(lines)
