"""What lm-evaluation-harness measured, as plain figures with intervals, and its rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.metrics.answers import packed, row_digest, wilson

NO_FILTER = "none"
"""What the harness calls the answers as they are."""
RIGHT = ("exact_match", "acc", "acc_norm")
"""Figures that say whether a row is right, the first that a task has."""
PERPLEXITIES = ("word_perplexity", "byte_perplexity", "bits_per_byte")
"""Figures of all documents together, from the loss of each and its words or bytes."""
DRAWS = 1_000
"""Draws of a bootstrap."""
Sample = Mapping[str, Any]
"""A row as the harness returns it."""


@dataclass(frozen=True)
class Measured:
    """What `lm_eval` returned."""

    results: Mapping[str, Any]
    """All of it."""

    def sets(self) -> dict[str, dict[str, Any]]:
        """Return by task its figures with their intervals; no date, no host, so that the same run gives the same."""
        return {name: self._task(name) for name in self.results["samples"]}

    def groups(self) -> dict[str, dict[str, float]]:
        """Return by group the figures of its tasks together."""
        tasks = self.results["samples"]
        return {name: figures_in(one) for name, one in self.results["results"].items() if name not in tasks}

    def tasks(self) -> dict[str, dict[str, Any]]:
        """Return by task what it is: version, examples in the prompt, kind of request."""
        return {
            name: {
                "version": _plain(self.results["versions"].get(name)),
                "n_shot": _plain(self.results["n-shot"].get(name)),
                "output_type": _plain(self.results["configs"][name].get("output_type")),
                "higher_is_better": dict(self.results["higher_is_better"].get(name) or {}),
            }
            for name in self.results["samples"]
        }

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield each row of each task with its scores."""
        for name, samples in self.results["samples"].items():
            for filtered, own in _by_filter(samples).items():
                for sample in own:
                    yield _row(name if filtered == NO_FILTER else f"{name} ({filtered})", sample)

    def _task(self, name: str) -> dict[str, Any]:
        """Return the figures of one task."""
        by_filter = _by_filter(self.results["samples"][name])
        first = next(iter(by_filter.values()))
        figures: dict[str, Any] = {"n": len(first), **figures_in(self.results["results"][name])}
        for filtered, samples in by_filter.items():
            end = "" if filtered == NO_FILTER else f" ({filtered})"
            for metric in samples[0]["metrics"]:
                ends = interval(metric, [sample[metric] for sample in samples])
                if ends is not None and f"{metric}{end}" in figures:
                    figures |= {f"{metric}{end}_low": ends[0], f"{metric}{end}_high": ends[1]}
        right = [_right(sample) for sample in first]
        if all(one is not None for one in right):
            figures["row_right"] = packed([bool(one) for one in right])
        figures["row_digest"] = row_digest((str(one["doc_hash"]), str(one["target_hash"])) for one in first)
        return figures


def figures_in(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures of a task or group by name; those of a filter have its name behind them.

    >>> figures_in({"alias": "t", "acc,none": 0.5, "acc_stderr,none": "N/A", "exact_match,strict": 1})
    {'acc': 0.5, 'exact_match (strict)': 1.0}
    """
    figures = {}
    for key, value in result.items():
        metric, comma, filtered = key.rpartition(",")
        if comma and not isinstance(value, str) and not metric.endswith("_stderr"):
            figures[metric if filtered == NO_FILTER else f"{metric} ({filtered})"] = float(value)
    return figures


def interval(metric: str, values: Sequence[Any]) -> tuple[float, float] | None:
    """Return the ends of the 95 % interval of a figure over rows; `None` where it can't be had from them.

    Wilson's for shares, Student's for means, and a bootstrap over documents for perplexities.
    """
    if len(values) < 2:
        return None
    if metric in PERPLEXITIES:
        return _of_perplexity(metric, [[-float(loss), float(count)] for loss, count in values])
    if not all(isinstance(value, bool | int | float) or hasattr(value, "item") for value in values):
        return None
    numbers = [float(value) for value in values]
    if metric == "perplexity" or not all(map(math.isfinite, numbers)):
        return None
    if set(numbers) <= {0.0, 1.0}:
        share = wilson(round(sum(numbers)), len(numbers))
        return share.low, share.high
    from potstill.metrics.uncertainty.means import mean_interval

    mean = mean_interval(numbers)
    return (mean.low, mean.high) if mean.low < mean.high else None


def _of_perplexity(metric: str, counts: list[list[float]]) -> tuple[float, float] | None:
    """Return the ends of a perplexity over documents, each with its loss in nats and its words or bytes."""
    from potstill.metrics.uncertainty.bootstrap import bootstrap_interval

    def figure(sums: Sequence[float]) -> float:
        mean = sums[0] / sums[1]
        return mean / math.log(2) if metric == "bits_per_byte" else math.exp(min(mean, 700.0))

    ends = bootstrap_interval(counts, figure, draws=DRAWS, seed=0)
    return (ends.low, ends.high) if ends.low < ends.high else None


def _by_filter(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Return the rows of a task by filter, in the order of its documents."""
    by_filter: dict[str, list[Sample]] = {}
    for sample in samples:
        by_filter.setdefault(str(sample["filter"]), []).append(sample)
    return {name: sorted(own, key=lambda one: int(one["doc_id"])) for name, own in by_filter.items()}


def _right(sample: Sample) -> bool | None:
    """Return whether a row is right; `None` of a task that has no such figure."""
    value = next((sample[name] for name in RIGHT if name in sample["metrics"]), None)
    return bool(value) if isinstance(value, bool | int | float) and value in (0, 1) else None


def _row(name: str, sample: Sample) -> dict[str, Any]:
    """Return one row as it is kept."""
    arguments, responses = sample["arguments"], sample["filtered_resps"]
    document = sample["doc"] if isinstance(sample["doc"], Mapping) else {}
    choices = [str(one[1]) for one in arguments if len(one) > 1 and isinstance(one[1], str)]
    answer = choices[_best(responses)] if choices and len(choices) == len(responses) else _text(responses)
    scores = {metric: _score(metric, sample[metric]) for metric in sample["metrics"]}
    return {
        "id": str(document.get("id", sample["doc_id"])),
        "set": name,
        "input": str(arguments[0][0]),
        "gold": _gold(sample["target"], choices),
        "answer": answer,
        "correct": _right(sample),
        **{f"score_{metric}": value for metric, value in scores.items()},
    }


def _best(responses: Sequence[Any]) -> int:
    """Return which choice is the most probable one."""
    scores = [float(one[0]) if isinstance(one, list | tuple) else -math.inf for one in responses]
    return max(range(len(scores)), key=scores.__getitem__)


def _text(responses: Sequence[Any]) -> str:
    """Return what a model answered, where it wrote something."""
    first = responses[0] if responses else ""
    return first if isinstance(first, str) else ""


def _gold(target: object, choices: Sequence[str]) -> str:
    """Return the right answer as text."""
    if isinstance(target, int) and not isinstance(target, bool) and 0 <= target < len(choices):
        return choices[target]
    return str(target)


def _score(metric: str, value: object) -> float | None:
    """Return the score of a row; of a perplexity, the loss for each word or byte in nats."""
    if isinstance(value, list | tuple):
        if metric not in PERPLEXITIES:
            return None
        loss, count = float(value[0]), float(value[1])
        return -loss / count if count and math.isfinite(loss) else None
    if not (isinstance(value, int | float) or hasattr(value, "item")):
        return None
    number = float(value)  # type: ignore[arg-type]  # a number of NumPy is one
    return number if math.isfinite(number) else None


def _plain(value: object) -> str | float | None:
    """Return a value that JSON holds."""
    return value if isinstance(value, str | int | float | None) else str(value)
