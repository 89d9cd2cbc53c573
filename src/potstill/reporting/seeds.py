"""Models that were made alike but for their seeds: how far apart chance alone puts them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from potstill.engine.context import Ancestor
from potstill.reporting.alike import alike
from potstill.reporting.model_table import Section
from potstill.reporting.number_formats import decimal, listing
from potstill.reporting.ruling import Ruling


def seed_notes(section: Section, lineage: Sequence[Ancestor], ruling: Ruling | None = None) -> list[str]:
    """Return of each group of models that differ by seeds alone the mean and spread of the main figure."""
    notes = []
    for models in alike(section.models, lineage):
        for name in section.sets:
            figure = section.main
            values = [value for model in models if (value := model.value(figure, name)) is not None]
            if len(values) < 2:
                continue
            scale = 100 if figure.unit == "share" else 1
            spread = f"{decimal(scale * statistics.stdev(values))}{' points' if figure.unit == 'share' else ''}"
            notes.append(
                f"{listing(model.label for model in models)} were made alike but for their seeds: over {len(values)} "
                f"seeds, {figure.in_text} on {name} has a mean of {figure.shown(statistics.fmean(values))} and a "
                f"standard deviation of {spread}. {_scope([model.label for model in models], ruling)}"
            )
    return notes


def _scope(labels: Sequence[str], ruling: Ruling | None) -> str:
    """Return what the intervals say of other seeds."""
    students = [one for one in ruling.students if one.model.label in labels] if ruling else []
    if any(gain.seeds > 1 for one in students for gain in one.gains):
        return (
            "The verdict is of them together, as its interval counts rows and seeds; all other intervals and tests are "
            "of each model for itself, and say nothing of another seed."
        )
    return "Intervals, tests and the verdict are of each model for itself, and say nothing of another seed."
