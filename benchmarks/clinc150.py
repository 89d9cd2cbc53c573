"""CLINC150 (Larson et al. 2019) without its out-of-scope part, and tables of accuracies over seeds."""

from __future__ import annotations

import json
import os
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from potstill import RowsOutput, Step
from potstill.engine.encoding import File

DATA = Path(os.environ.get("POTSTILL_DATASETS", Path(__file__).parents[2] / "shared" / "datasets"))
"""Where the datasets lie; none of them is part of the project."""
PATH = DATA / "clinc150" / "data_full.json"


class FewLabels(Step):
    """A few `labelled` requests an intent, the others as `unlabelled`, and the `test` split.

    The unlabelled ones have their labels too, for those who measure; no method reads them.
    """

    path: File
    """data_full.json."""
    each: int
    """Labelled requests an intent: the first after a seeded shuffle of the training split."""
    intents: int = 150
    """The first so many intents by name; fewer than 150 for trials."""
    others: int = 100
    """Unlabelled requests an intent, at most."""
    tests: int = 30
    """Test requests an intent, at most."""
    seed: int = 0
    """Of the shuffle."""
    makes = "rows"
    labelled = RowsOutput()
    unlabelled = RowsOutput()
    test = RowsOutput()

    def run(self) -> dict[str, Any]:
        """Return all three."""
        splits = json.loads(Path(self.path).read_text(encoding="utf-8"))
        chosen = set(sorted({label for _, label in splits["train"]})[: self.intents])
        Random(self.seed).shuffle(splits["train"])
        train, test = (by_intent(splits[name], chosen) for name in ("train", "test"))
        last = self.each + self.others
        return {
            "labelled": rows((text, label) for label, texts in train.items() for text in texts[: self.each]),
            "unlabelled": rows((text, label) for label, texts in train.items() for text in texts[self.each : last]),
            "test": rows((text, label) for label, texts in test.items() for text in texts[: self.tests]),
        }


def by_intent(split: Iterable[tuple[str, str]], chosen: set[str]) -> dict[str, list[str]]:
    """Return the texts of each chosen intent, intents by name."""
    actual: defaultdict[str, list[str]] = defaultdict(list)
    for text, label in split:
        if label in chosen:
            actual[label].append(text)
    return dict(sorted(actual.items()))


def rows(given: Iterable[tuple[str, str]]) -> Iterator[dict[str, str]]:
    """Yield rows."""
    return ({"text": text, "label": label} for text, label in given)


def accuracy(artifact: Any) -> float:
    """Return the accuracy in percent that `EvaluateClassifier` found."""
    return 100 * float(
        json.loads((artifact.path / "metrics.json").read_text(encoding="utf-8"))["sets"]["test"]["accuracy"]
    )


def table(reached: Mapping[str, Sequence[float]], baseline: str) -> None:
    """Print the accuracies by method, mean and deviation over the seeds, and how far they are from the `baseline`.

    The difference is taken seed by seed, since the methods share data and start.
    """
    print(f"{'':34}{'accuracy, %':>12}{'±':>7}{'against ' + baseline:>24}{'±':>7}")
    for name, actual in reached.items():
        apart = [ours - theirs for ours, theirs in zip(actual, reached[baseline], strict=True)]
        spread, around = (statistics.stdev(values) if len(values) > 1 else float("nan") for values in (actual, apart))
        print(f"{name:34}{statistics.mean(actual):>12.2f}{spread:>7.2f}{statistics.mean(apart):>+24.2f}{around:>7.2f}")
