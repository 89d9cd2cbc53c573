"""The measured models of a report: labels, figures relative to the reference, and the flat table of both."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.context import Ancestor
from potstill.errors import BadInput

FIGURES = (
    "tokens_per_s",
    "first_token_ms_p50",
    "first_token_ms_p95",
    "weights_bytes",
    "folder_bytes",
    "bits_per_weight",
    "parameters",
    "nonzero_parameters",
    "peak_memory_bytes",
)
"""Figures of a whole model, in the order of the table's columns."""
SPARSE = 0.2
"""Share of zeros from which a model counts as pruned."""
SCORES = (
    "n",
    "exact_match",
    "exact_match_low",
    "exact_match_high",
    "valid_json",
    "valid_json_low",
    "valid_json_high",
    "cut",
    "errors",
)
"""Figures of a model on one test set."""


@dataclass(frozen=True)
class Measured:
    """One model as `Evaluate` measured it."""

    label: str
    """Its name in the report."""
    step: str
    """Name of the step that measured it."""
    metrics: Mapping[str, Any]
    """What that step returned."""
    size_ratio: float | None
    """How many times smaller its weights are than the reference's; unknown for a model behind an address."""
    reference: bool = False
    """Whether it is the one that the others are held against."""

    @property
    def zeros(self) -> float:
        """Return the share of its parameters that are zero; 0 if unknown."""
        total, nonzero = self.metrics.get("parameters"), self.metrics.get("nonzero_parameters")
        return 1 - nonzero / total if total and nonzero is not None else 0.0

    @property
    def sparse(self) -> bool:
        """Say whether it was pruned to zeros; a trained or rounded one has some too, but few."""
        return self.zeros >= SPARSE

    def exact(self, name: str) -> float | None:
        """Return the exact match on the test set `name`, if it was measured there."""
        scores = self.metrics["sets"].get(name)
        return None if scores is None else float(scores["exact_match"])

    def plain(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        own = {"model": self.label, "step": self.step, "reference": self.reference, "size_ratio": self.size_ratio}
        return own | dict(self.metrics)


def measured(
    evaluations: Sequence[Mapping[str, Any]] | Mapping[str, Mapping[str, Any]],
    names: Sequence[str],
    lineage: Sequence[Ancestor],
    reference: str,
) -> list[Measured]:
    """Return the models behind `evaluations`, in that order; `names` are those of the steps that measured them.

    Raises:
        BadInput: there are no evaluations, or `reference` is not the label of one.
    """
    labels = labelled(evaluations, names, lineage)
    if not labels:
        raise BadInput("a report without evaluations: give at least one step that makes metrics")
    if reference and reference not in labels:
        raise BadInput(f"reference {reference!r} is no model of the report: give one of {', '.join(labels)}")
    every = list(evaluations.values() if isinstance(evaluations, Mapping) else evaluations)
    chosen = labels.index(reference) if reference else 0
    whole = every[chosen].get("weights_bytes")
    ratios = [whole / one["weights_bytes"] if whole and one.get("weights_bytes") else None for one in every]
    rows = zip(labels, names, every, ratios, strict=True)
    return [Measured(*row, reference=number == chosen) for number, row in enumerate(rows)]


def labelled(
    evaluations: Sequence[Mapping[str, Any]] | Mapping[str, Mapping[str, Any]],
    names: Sequence[str],
    lineage: Sequence[Ancestor],
) -> list[str]:
    """Return what each evaluated model is called: the user's key, or the step that made it, or the teacher's label."""
    if isinstance(evaluations, Mapping):
        return [str(key) for key in evaluations]
    manifests = {ancestor.name: ancestor.manifest for ancestor in lineage}
    wishes = []
    for name, metrics in zip(names, evaluations, strict=True):
        makers = manifests.get(name, {}).get("inputs", {}).get("model", [])
        wishes.append(str(makers[0] if makers else metrics.get("engine", {}).get("label") or name))
    repeated = {wish for wish, count in Counter(wishes).items() if count > 1}
    return [name if wish in repeated else wish for wish, name in zip(wishes, names, strict=True)]


def set_names(models: Sequence[Measured]) -> list[str]:
    """Return the names of all test sets, in the order in which they come up."""
    return list(dict.fromkeys(name for model in models for name in model.metrics["sets"]))


def flat(models: Sequence[Measured]) -> list[dict[str, Any]]:
    """Return one row a model and test set."""
    return [
        {"model": model.label, "set": name}
        | {score: scores.get(score) for score in SCORES}
        | {figure: model.metrics.get(figure) for figure in FIGURES}
        | {"size_ratio": model.size_ratio}
        for model in models
        for name, scores in model.metrics["sets"].items()
    ]


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return `rows` as CSV; numbers with all their digits, nothing for what is unknown."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["model"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
