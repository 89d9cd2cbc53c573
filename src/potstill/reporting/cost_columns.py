"""What `MeasureCost` measured as columns of `metrics.csv`, and the speeds of evaluations: a column for each runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from potstill.reporting.costs import SIZES, Cost, matched
from potstill.reporting.kinds import number
from potstill.reporting.model_table import Measured, Section
from potstill.reporting.ruling import evaluated_by
from potstill.reporting.speeds import UNNAMED

MEASURED = "Cost of serving"
"""Kind of the rows of models that only `MeasureCost` measured."""
SPEEDS = ("tokens_per_s", "rows_per_s", "first_token_ms_p50", "first_token_ms_p95")
"""Figures of an evaluation that depend on what ran the model."""
SPENT = ("load_s", "first_token", "per_token", "tokens_per_s_at_", "peak_memory", "device_memory", "joules_per_token")
"""How the names of figures begin that `MeasureCost` measures of what ran the model."""


def speed_names(sections: Sequence[Section]) -> dict[tuple[str, str], str]:
    """Return the column of each speed by its name and runtime: its own name, and the runtime's where there are several.

    >>> speed_names([])
    {}
    """
    runtimes: dict[str, list[str]] = {}
    for model in (model for section in sections for model in section.models):
        for name in SPEEDS:
            if number(model.metrics, name) is not None:
                runtimes.setdefault(name, []).append(runtime_in(model))
    return {
        (name, runtime): f"{name}, {runtime}" if len(set(every)) > 1 else name
        for name, every in runtimes.items()
        for runtime in every
    }


def runtime_in(model: Measured) -> str:
    """Return what ran a model when its answers were measured."""
    return evaluated_by(model) or UNNAMED


def costs_by_model(sections: Sequence[Section], costs: Sequence[Cost]) -> dict[int, Cost]:
    """Return what was measured of each model that writes, by its `id`."""
    result: dict[int, Cost] = {}
    for section in sections:
        if section.kind.writes:
            labelled = [(model.label, model.metrics) for model in section.models]
            pairs = zip(section.models, matched(labelled, costs), strict=True)
            result |= {id(model): cost for model, cost in pairs if cost is not None}
    return result


def cost_row(cost: Cost | None, costs: Sequence[Cost]) -> dict[str, Any]:
    """Return the columns of one model's costs; they name the runtime, and the step where several steps measured."""
    if cost is None:
        return {}
    several = len({one.step for one in costs}) > 1
    end = f"{cost.runtime or UNNAMED} ({cost.step if several and cost.step else 'MeasureCost'})"
    return {
        f"{name}, {end}": value
        for name, value in cost.figures.items()
        if name.startswith(SPENT) and number(cost.figures, name) is not None
    }


def rows_of_costs(costs: Sequence[Cost], among: Mapping[int, Cost]) -> list[dict[str, Any]]:
    """Return a row for each model that was measured and is none of the evaluated ones."""
    used = {id(cost) for cost in among.values()}
    return [
        {"model": cost.label, "kind": MEASURED, "set": ""}
        | {name: cost.figures[name] for name in SIZES if number(cost.figures, name) is not None}
        | cost_row(cost, costs)
        for cost in costs
        if id(cost) not in used and not cost.error
    ]
