"""What `MeasureCost` measured: of which model of a section it is, and what stands in for an evaluation's own speeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from potstill.reporting.kinds import number

SIZES = ("weights_bytes", "folder_bytes", "bits_per_weight", "parameters", "nonzero_parameters")
"""Figures of a model's files, the same from every step that counts them."""
LATENCIES = ("first_token_ms_p50", "first_token_ms_p95")
AT = "tokens_per_s_at_"
"""What the names of throughputs begin with; the number of requests at once follows."""
ALONE = "{} (MeasureCost)"
"""What a runtime is called whose models ran alone: their speeds compare with no others."""


@dataclass(frozen=True)
class Cost:
    """One model as a step measured what it costs."""

    label: str
    """What the step calls it."""
    step: str
    """Name of the step."""
    figures: Mapping[str, Any]
    """What was measured."""

    @property
    def error(self) -> str:
        """Return why it could not be measured, or nothing."""
        return str(self.figures.get("error") or "")

    @property
    def runtime(self) -> str:
        """Return what ran it."""
        return str(self.figures.get("runtime") or self.figures.get("teacher") or "")

    @property
    def at_once(self) -> list[int]:
        """Return the numbers of requests at once for which a throughput was measured."""
        ends = [name.removeprefix(AT) for name in self.figures if name.startswith(AT)]
        return sorted(int(end) for end in ends if end.isdigit())


def costs_in(label: str, step: str, metrics: object) -> list[Cost] | None:
    """Return what `MeasureCost` measured, a model each; `None` if the metrics are something else's."""
    costs = metrics.get("costs") if isinstance(metrics, Mapping) else None
    if not isinstance(costs, Mapping) or not costs or not all(isinstance(one, Mapping) for one in costs.values()):
        return None
    return [Cost(str(name), step, figures) for name, figures in costs.items()]


def costs_of(models: Sequence[tuple[str, Mapping[str, Any]]], costs: Sequence[Cost]) -> list[dict[str, Any]]:
    """Return what stands in for the figures of the models' own evaluations, a dict each; empty where nothing does.

    A model is known by its label, or by what its engine calls it where just one is called so. Sizes are taken of each.
    Speeds and memory, which depend on the protocol, are taken only if all of the models were measured.

    Args:
        models: labels in the report, and what their evaluations returned.
        costs: what was measured.
    """
    every = matched(models, costs)
    is_whole = all(one is not None and not one.error for one in every)
    return [{} if one is None else _stands_in(one, is_whole) for one in every]


def matched(models: Sequence[tuple[str, Mapping[str, Any]]], costs: Sequence[Cost]) -> list[Cost | None]:
    """Return what was measured of each model; the arguments are those of `costs_of`."""
    names = [_engine_label(metrics) for _, metrics in models]
    return [
        _cost(label, name if names.count(name) == 1 else "", costs)
        for (label, _), name in zip(models, names, strict=True)
    ]


def _cost(label: str, engine: str, costs: Sequence[Cost]) -> Cost | None:
    """Return what was measured of one model; that of the first step where several did."""
    by_label = [one for one in costs if one.label == label]
    by_engine = [one for one in costs if engine and one.figures.get("label") == engine]
    if by_label:
        return by_label[0]
    return by_engine[0] if len(by_engine) == 1 else None


def _engine_label(metrics: Mapping[str, Any]) -> str:
    """Return what the engine of an evaluation calls its model."""
    engine = metrics.get("engine")
    return str(engine.get("label") or "") if isinstance(engine, Mapping) else ""


def _stands_in(cost: Cost, is_whole: bool) -> dict[str, Any]:
    """Return figures by the names of those that they stand in for."""
    figures = {name: cost.figures[name] for name in SIZES if number(cost.figures, name) is not None}
    if not is_whole:
        return figures
    speeds = {name: cost.figures.get(name) for name in (*LATENCIES, "peak_memory_bytes")}
    speeds["tokens_per_s"] = cost.figures.get(f"{AT}{cost.at_once[-1]}") if cost.at_once else None
    return {**figures, **speeds, "runtime": ALONE.format(cost.runtime or "an unnamed runtime"), "step": cost.step}
