"""Models that were made alike but for their seeds: how far apart chance alone puts them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from functools import cache

from potstill.engine.context import Ancestor
from potstill.reporting.model_table import Measured, Section
from potstill.reporting.number_formats import decimal, listing
from potstill.reporting.ruling import makers


def seed_notes(section: Section, lineage: Sequence[Ancestor]) -> list[str]:
    """Return of each group of models that differ by seeds alone the mean and spread of the main figure."""
    notes = []
    for models in _alike(section.models, lineage):
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
                f"standard deviation of {spread}. Intervals, tests and the verdict are of each model for itself, and "
                "say nothing of another seed."
            )
    return notes


def _alike(models: Sequence[Measured], lineage: Sequence[Ancestor]) -> list[list[Measured]]:
    """Return the models that were made alike but for seeds, in groups of two or more."""
    by_name: Mapping[str, Ancestor] = {one.name: one for one in lineage}

    @cache
    def recipe(name: str) -> str:
        """Return how a step was made, without names and seeds."""
        one = by_name.get(name)
        if one is None:
            return name
        parameters = {key: value for key, value in (one.manifest.get("params") or {}).items() if key != "seed"}
        before = sorted(recipe(other) for other in one.inputs if other != name)
        return json.dumps([one.type, parameters, before], sort_keys=True, default=str)

    @cache
    def has_seed(name: str) -> bool:
        one = by_name.get(name)
        seeds = one is not None and (one.manifest.get("params") or {}).get("seed") is not None
        return seeds or (one is not None and any(has_seed(other) for other in one.inputs if other != name))

    groups: dict[str, list[Measured]] = {}
    for model in models:
        own = makers(by_name.get(model.step))
        if own and all(map(has_seed, own)):
            groups.setdefault(json.dumps([recipe(name) for name in own]), []).append(model)
    return [group for group in groups.values() if len(group) > 1]
