"""What models cost to serve, as `MeasureCost` measured it: a table for each runtime, as two of them do not compare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from potstill.reporting.costs import AT, Cost, costs_in
from potstill.reporting.kinds import number
from potstill.reporting.model_table import Evaluation
from potstill.reporting.number_formats import NONE, decimal, seconds, short_count, size
from potstill.reporting.others import Table

TITLE = "Cost of serving"
Text = Callable[[Cost], str]
"""Makes one cell of what was measured of a model."""


def parted(evaluations: Sequence[Evaluation]) -> tuple[list[Evaluation], list[Evaluation]]:
    """Return the measurements of costs, and all other evaluations."""
    measured = [one for one in evaluations if _costs(one)]
    return measured, [one for one in evaluations if not _costs(one)]


def costs_of_all(measured: Sequence[Evaluation]) -> list[Cost]:
    """Return what was measured, model by model."""
    return [cost for one in measured for cost in _costs(one)]


def cost_tables(measured: Sequence[Evaluation]) -> list[Table]:
    """Return a table for each step and runtime, and one of bytes by part."""
    tables = []
    for one in measured:
        by_runtime: dict[str, list[Cost]] = {}
        for cost in _costs(one):
            if not cost.error:
                by_runtime.setdefault(cost.runtime, []).append(cost)
        failed = tuple(f"{cost.label} can't be measured: {cost.error}" for cost in _costs(one) if cost.error)
        whose = f" ({one.label})" if len(measured) > 1 else ""
        tables += [
            _table(f"{TITLE}, by {runtime}{whose}" if runtime else f"{TITLE}{whose}", costs, one)
            for runtime, costs in by_runtime.items()
        ]
        if failed:
            tables.append(Table(f"{TITLE}: not measured{whose}", *_failed(_costs(one)), notes=failed))
    return [*tables, *_parts(measured)]


def _costs(evaluation: Evaluation) -> list[Cost]:
    """Return what a step measured of each model; nothing of a step that measured something else."""
    found = costs_in(evaluation.label, evaluation.step, evaluation.metrics) if evaluation.kind is None else None
    return found or []


def _table(title: str, costs: Sequence[Cost], measured: Evaluation) -> Table:
    """Return the table of one runtime."""
    at_once = sorted({count for one in costs for count in one.at_once})
    columns = dict(_columns(at_once))
    # what none of them has, such as the memory of a device on a machine without one, has no column
    shown = {name: text for name, text in columns.items() if any(text(one) != NONE for one in costs)}
    lines = tuple((one.label, *(text(one) for text in shown.values())) for one in costs)
    return Table(
        title, ("Model", *shown), lines, caption=f"{measured.label}: {_protocol(measured.metrics.get('protocol'))}"
    )


def _columns(at_once: Sequence[int]) -> Iterator[tuple[str, Text]]:
    """Yield the heads of the columns, each with what makes its text of a model."""
    yield "Weights", _shown("weights_bytes", size)
    yield "Parameters", _parameters
    yield "Loading", _shown("load_s", seconds)
    yield "First token, ms", lambda one: _latency(one, "first_token")
    yield "Each further token, ms", lambda one: _latency(one, "per_token")
    for count in at_once:
        yield f"Tokens/s, {count} at once", _shown(f"{AT}{count}", decimal)
    yield "Peak memory", _shown("peak_memory_bytes", size)
    yield "Device memory", _shown("device_memory_bytes", size)
    yield "Joules a token", _shown("joules_per_token", decimal)
    yield "Failed requests", lambda one: f"{failed:.0f}" if (failed := number(one.figures, "failed")) else NONE


def _shown(name: str, text: Callable[[float | None], str]) -> Text:
    """Return what makes a text of a figure."""
    return lambda one: text(number(one.figures, name))


def _parameters(cost: Cost) -> str:
    """Return how many parameters a model has, and how many are not zero where that differs."""
    total, nonzero = number(cost.figures, "parameters"), number(cost.figures, "nonzero_parameters")
    zeros = total is not None and nonzero is not None and nonzero < 0.8 * total
    return f"{short_count(total)} ({short_count(nonzero)} not zero)" if zeros else short_count(total)


def _latency(cost: Cost, name: str) -> str:
    """Return median and 95th percentile."""
    middle, slowest = (number(cost.figures, f"{name}_ms_p{share}") for share in (50, 95))
    return NONE if middle is None else f"{decimal(middle)} ({decimal(slowest)} for 1 in 20)"


def _protocol(protocol: object) -> str:
    """Return how it was measured."""
    if not isinstance(protocol, Mapping):
        return "how it was measured is not known."
    repeats, requests, threads, most = (
        number(protocol, one) for one in ("repeats", "requests", "threads", "max_tokens")
    )
    parts = [
        "medians of fresh processes, in which nothing else ran, after a warm-up"
        if repeats is None
        else f"medians of {repeats:.0f} fresh processes a model, in which nothing else ran, after a warm-up",
        "" if requests is None else f"latencies of {requests:.0f} single requests in each",
        "" if most is None else f"answers of at most {most:.0f} tokens",
        "" if threads is None else f"{threads:.0f} threads",
    ]
    return "; ".join(filter(None, parts)) + ". Speeds of other runtimes or machines do not compare with these."


def _failed(costs: Sequence[Cost]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return head and lines of the models that could not be measured: what is known of their files."""
    lines = tuple(
        (one.label, size(number(one.figures, "weights_bytes")), _parameters(one)) for one in costs if one.error
    )
    return ("Model", "Weights", "Parameters"), lines


def _parts(measured: Sequence[Evaluation]) -> Iterator[Table]:
    """Yield the table of bytes by part, if any are known."""
    parts = {
        cost.label: held
        for one in measured
        for cost in _costs(one)
        if isinstance(held := cost.figures.get("bytes_by_part"), Mapping) and held
    }
    names = list(dict.fromkeys(str(name) for held in parts.values() for name in held))
    if names:
        lines = tuple((label, *(size(number(held, name)) for name in names)) for label, held in parts.items())
        yield Table("Bytes by part", ("Model", *(name.replace("_", " ") for name in names)), lines)
