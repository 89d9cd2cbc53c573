"""Steps that measure and failed: a report shows the others, and says what is missing and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from potstill.engine.context import NOT_MADE
from potstill.reporting.model_table import Evaluation
from potstill.reporting.number_formats import cut
from potstill.reporting.step_warnings import StepWarning

LONGEST = 300
"""Letters of a reason that are shown; all stand in metrics.json."""


def failures_of(evaluations: Sequence[Evaluation]) -> dict[str, str]:
    """Return by label why there are no figures, of those whose step failed."""
    return {
        one.label: str(one.metrics[NOT_MADE])
        for one in evaluations
        if one.kind is None and isinstance(one.metrics, Mapping) and NOT_MADE in one.metrics
    }


def failure_warnings(failed: Mapping[str, str], reference: str) -> list[StepWarning]:
    """Return what is missing and why, to stand beside the verdict; nothing where nothing failed."""
    notes = [
        StepWarning(label, f"It was not measured: {cut(' '.join(why.split()), LONGEST).rstrip('.')}.", ())
        for label, why in failed.items()
    ]
    if reference in failed:
        text = "It is the reference: without it, no model is shown to be as good."
        notes.append(StepWarning(reference, text, ()))
    return notes
