"""Steps that measure and failed: a report shows the others, and says what is missing and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from potstill.engine.context import NOT_MADE
from potstill.reporting.model_table import Evaluation
from potstill.reporting.number_formats import cut

LONGEST = 300
"""Letters of a reason that are shown; all stand in metrics.json."""


def of(evaluations: Sequence[Evaluation]) -> dict[str, str]:
    """Return by label why there are no figures, of those whose step failed."""
    return {
        one.label: str(one.metrics[NOT_MADE])
        for one in evaluations
        if one.kind is None and isinstance(one.metrics, Mapping) and NOT_MADE in one.metrics
    }


def summary(failed: Mapping[str, str], reference: str) -> str:
    """Return in words what is missing and why; nothing where nothing failed."""
    texts = [f"{label} was not measured: {cut(' '.join(why.split()), LONGEST)}" for label, why in failed.items()]
    if reference in failed:
        texts.append(f"{reference} is the reference: without it, no model is shown to be as good")
    return " ".join(f"{text.rstrip('.')}." for text in texts)
