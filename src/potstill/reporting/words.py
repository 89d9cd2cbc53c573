"""The report in a few sentences and headline figures, worked out from the measured models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from potstill.reporting.formats import decimal, percent, size, times
from potstill.reporting.models import Measured, set_names


@dataclass(frozen=True)
class Tile:
    """One headline figure."""

    name: str
    value: str
    note: str


def best_small(models: Sequence[Measured]) -> Measured | None:
    """Return the model with the best mean exact match among those not known to be as large as the reference."""
    small = [model for model in models if not model.reference and (model.size_ratio is None or model.size_ratio > 1)]
    return max(small, key=lambda model: (_mean(model), model.size_ratio or 0.0), default=None)


def praise(best: Measured) -> str:
    """Return what `best_small` found; a model whose size can't be compared is not called small."""
    return "best small model" if best.size_ratio else "best of the other models"


def smallest(models: Sequence[Measured]) -> Measured | None:
    """Return the model with the fewest bytes, the better one at a tie."""
    small = [model for model in models if not model.reference and model.size_ratio is not None and model.size_ratio > 1]
    return max(small, key=lambda model: (model.size_ratio or 0.0, _mean(model)), default=None)


def summary(models: Sequence[Measured]) -> list[str]:
    """Return the report's first paragraph, sentence by sentence."""
    reference = next(model for model in models if model.reference)
    best, least = best_small(models), smallest(models)
    if best is None:
        return [
            f"{reference.label} reaches {_scores(reference, reference)}; there is no smaller model to compare it with."
        ]
    made = [f"The {praise(best)} is {best.label}: {_scores(best, reference)}."]
    if best.size_ratio:
        weights = f"{_bytes(best)} of weights instead of {_bytes(reference)}"
        made.append(f"It is {times(best.size_ratio)} smaller than {reference.label}: {weights}.")
    made += _overlap(best, reference)
    if least is not None and least is not best:
        made.append(f"The smallest is {least.label}, {times(least.size_ratio)} smaller, with {_scores(least, least)}.")
    return made


def tiles(models: Sequence[Measured]) -> list[Tile]:
    """Return the headline figures of the best small model."""
    reference = next(model for model in models if model.reference)
    best = best_small(models)
    if best is None:
        return []
    made = [
        Tile(f"Exact match, {name}", percent(best.exact(name)), f"{reference.label}: {percent(reference.exact(name))}")
        for name in set_names(models)
    ]
    if best.size_ratio:
        made.append(Tile("Smaller", times(best.size_ratio), f"{_bytes(best)} instead of {_bytes(reference)}"))
    ours, theirs = best.metrics.get("tokens_per_s"), reference.metrics.get("tokens_per_s")
    if ours and theirs:
        made.append(Tile("Tokens a second", times(ours / theirs), f"{decimal(ours)} instead of {decimal(theirs)}"))
    return made


def caveats(models: Sequence[Measured]) -> list[str]:
    """Return what a reader might otherwise take for granted."""
    made = []
    sparse = [model for model in models if model.sparse]
    if sparse:
        listed = " and ".join(f"{model.label} ({percent(model.zeros, 0)} zeros)" for model in sparse)
        made.append(
            f"Unstructured sparsity brings neither size nor speed here. The pruned weights of {listed} are stored as "
            "ordinary zeros, and the kernels multiply them like any other number: what the pruning shows is how much "
            "can be left out, not a smaller or faster model."
        )
    larger = [model.label for model in models if not model.reference and model.size_ratio and model.size_ratio <= 1]
    if larger:
        made.append(f"Not smaller than the reference: {', '.join(larger)}.")
    if any(model.metrics.get("peak_memory_bytes") for model in models):
        made.append(
            "Peak memory is that of the whole serving process. Its libraries and its cache for keys and values make up "
            "most of it, so models of a few megabytes hardly differ."
        )
    failed = [(model, sum(scores.get("errors") or 0 for scores in model.metrics["sets"].values())) for model in models]
    made += [f"{count} requests to {model.label} failed and count as wrong." for model, count in failed if count]
    return made


def _scores(model: Measured, reference: Measured) -> str:
    """Return e.g. `95.0 % exact match on test (teacher 97.1 %) and 71.0 % on handwritten (73.0 %)`."""
    parts = []
    for number, (name, scores) in enumerate(model.metrics["sets"].items()):
        theirs = reference.exact(name)
        other = "" if model is reference or theirs is None else f" ({reference.label}: {percent(theirs)})"
        parts.append(f"{percent(scores['exact_match'])}{' exact match' if number == 0 else ''} on {name}{other}")
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1]))) if parts else "nothing"


def _overlap(model: Measured, reference: Measured) -> list[str]:
    """Say where the intervals of both overlap, so that no one reads more into the difference than is there."""
    names = [
        name for name in model.metrics["sets"] if name in reference.metrics["sets"] and _touch(model, reference, name)
    ]
    if not names:
        return []
    return [f"Their 95\u202f% intervals overlap on {' and '.join(names)}: the difference there may be chance."]


def _touch(model: Measured, reference: Measured, name: str) -> bool:
    ours, theirs = model.metrics["sets"][name], reference.metrics["sets"][name]
    low = max(ours["exact_match_low"], theirs["exact_match_low"])
    return bool(low <= min(ours["exact_match_high"], theirs["exact_match_high"]))


def _mean(model: Measured) -> float:
    values = [float(scores["exact_match"]) for scores in model.metrics["sets"].values()]
    return sum(values) / len(values) if values else 0.0


def _bytes(model: Measured) -> str:
    value: Any = model.metrics.get("weights_bytes")
    return size(value)
