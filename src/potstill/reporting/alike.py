"""Which measured models were made alike but for their seeds: several seeds of one student."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache

from potstill.engine.context import Ancestor
from potstill.reporting.model_table import Measured


def makers(evaluating: Ancestor | None) -> list[str]:
    """Return the steps that made the model which a step measured."""
    inputs = {} if evaluating is None else evaluating.manifest.get("inputs") or {}
    return [str(name) for name in inputs.get("model") or ()]


def alike(models: Sequence[Measured], lineage: Sequence[Ancestor]) -> list[list[Measured]]:
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
            # how it was measured is part of it: one model by two runtimes is not two seeds
            groups.setdefault(recipe(model.step), []).append(model)
    distinct = [list({tuple(makers(by_name[one.step])): one for one in group}.values()) for group in groups.values()]
    return [group for group in distinct if len(group) > 1]
