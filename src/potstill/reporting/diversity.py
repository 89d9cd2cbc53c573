"""What a report says of how varied generated texts are, where a step measured it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from potstill.engine.context import Ancestor
from potstill.reporting.kinds import number
from potstill.reporting.model_table import Evaluation
from potstill.reporting.number_formats import NONE, count, decimal, percent
from potstill.reporting.others import Table

NOT_MEASURED = "Nobody measured how varied the generated texts are: no Diversity is among what was measured."
"""What is said where a teacher wrote texts and none was given."""
GENERATES = frozenset(
    "Backtranslate DataFromAttributedPrompt DataFromPrompt EvolInstruct GrowFromExamples InputFromLabel Magpie "
    "SelfInstruct".split()
)
"""Types of steps in which a teacher writes new questions."""
HEAD = (
    "Texts",
    "Rows",
    "Distinct words",
    "Distinct pairs",
    "Self-ROUGE-L",
    "Words, median",
    "Nearest seed, mean ROUGE-L",
)


def unmeasured(measured: Sequence[Evaluation], lineage: Sequence[Ancestor]) -> str:
    """Return what is said where a teacher wrote texts and nobody measured how varied they are; else nothing."""
    return NOT_MEASURED if not measured and any(one.type in GENERATES for one in lineage) else ""


def parted(evaluations: Sequence[Evaluation]) -> tuple[list[Evaluation], list[Evaluation]]:
    """Return the measurements of diversity, and all other evaluations."""
    return [one for one in evaluations if _is_diversity(one)], [one for one in evaluations if not _is_diversity(one)]


def diversity_table(measured: Sequence[Evaluation]) -> Table | None:
    """Return what was measured, a line for each; `None` where nothing was. All of it is in metrics.json."""
    lines = tuple(_line(one.label, one.metrics) for one in measured)
    return Table("Diversity of texts", HEAD, lines) if lines else None


def _is_diversity(evaluation: Evaluation) -> bool:
    """Return whether an evaluation is what `Diversity` returns."""
    metrics: Any = evaluation.metrics
    return evaluation.kind is None and isinstance(metrics, Mapping) and {"distinct", "ngrams", "words"} <= set(metrics)


def _line(label: str, metrics: Mapping[str, Any]) -> tuple[str, ...]:
    """Return one measurement as texts."""
    rows = number(metrics, "rows")
    return (
        label,
        NONE if rows is None else count(int(rows)),
        *(percent(_inner(metrics, "distinct", size)) for size in ("1", "2")),
        decimal(number(metrics, "self_rouge_l")),
        decimal(_inner(metrics, "words", "p50")),
        decimal(_inner(metrics, "nearest_seed", "mean")),
    )


def _inner(metrics: Mapping[str, Any], name: str, inner: str) -> float | None:
    """Return a number in a dict of the metrics, if it is there."""
    values = metrics.get(name)
    return number(values, inner) if isinstance(values, Mapping) else None
