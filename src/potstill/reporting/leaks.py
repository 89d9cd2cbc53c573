"""What a report says of leaks: which test rows stand in the training rows, or that nobody looked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from potstill.reporting.kinds import number
from potstill.reporting.model_table import Evaluation
from potstill.reporting.number_formats import NONE, cut, percent
from potstill.reporting.others import LONGEST, Table

WAYS = {
    "exact": "Equal",
    "ngram": "Words in a row",
    "near": "Nearly equal",
    "meaning": "Same meaning",
    "any": "In any way",
}
"""The ways in which a test row can stand in a training row, as columns."""
EXAMPLES = 5
"""Examples of a test set that the page shows; all are in metrics.json."""
NOT_DONE = "Nobody looked whether test rows stand in the training rows: no LeakCheck is among what was measured."
"""What is said where none was given."""


def parted(evaluations: Sequence[Evaluation]) -> tuple[list[Evaluation], list[Evaluation]]:
    """Return the checks for leaks, and all other evaluations."""
    checks = [one for one in evaluations if _sets(one) is not None]
    return checks, [one for one in evaluations if _sets(one) is None]


def leak_tables(checks: Sequence[Evaluation]) -> list[Table]:
    """Return a table of the counts, a line a test set, and one of examples if there are any."""
    if not checks:
        return []
    lines = tuple(
        (
            f"{one.label}: {name}",
            _count(scores, "rows"),
            *(_leaked(scores.get(way)) for way in WAYS),
        )
        for one in checks
        for name, scores in (_sets(one) or {}).items()
    )
    counts = Table("Test rows in the training rows", ("Test set", "Rows", *WAYS.values()), lines)
    shown = tuple(line for one in checks for line in _examples(one))
    examples = Table("Test rows in the training rows: examples", ("Test set", "Test row", "Training row"), shown)
    return [counts, *([examples] if shown else [])]


def _sets(evaluation: Evaluation) -> dict[str, Mapping[str, Any]] | None:
    """Return the counts of a check by test set; None if it is something else."""
    metrics: Any = evaluation.metrics
    leaks = metrics.get("leaks") if evaluation.kind is None and isinstance(metrics, Mapping) else None
    sets = leaks.get("sets") if isinstance(leaks, Mapping) else None
    if not isinstance(sets, Mapping) or not sets or not all(isinstance(one, Mapping) for one in sets.values()):
        return None
    return {str(name): scores for name, scores in sets.items()}


def _count(scores: Mapping[str, Any], name: str) -> str:
    """Return a count as text."""
    value = number(scores, name)
    return NONE if value is None else f"{value:,.0f}"


def _leaked(figures: object) -> str:
    """Return how many rows were found in one way, with their share; a dash where nobody looked for such."""
    if not isinstance(figures, Mapping):
        return NONE
    share = number(figures, "share")
    return _count(figures, "rows") + ("" if share is None else f" ({percent(share)})")


def _examples(check: Evaluation) -> Iterator[tuple[str, str, str]]:
    """Yield the first examples of each test set."""
    for name, scores in (_sets(check) or {}).items():
        examples = scores.get("examples")
        for example in examples[:EXAMPLES] if isinstance(examples, list) else ():
            if isinstance(example, Mapping):
                test, train = (cut(str(example.get(one) or ""), LONGEST) for one in ("text", "train_text"))
                yield f"{check.label}: {name}", test, train
