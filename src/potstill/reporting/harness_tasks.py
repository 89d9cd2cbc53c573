"""Scores of lm-evaluation-harness, a line a task and metric, with interval and standard error."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from potstill.reporting.kinds import RIGHTS, harness_tasks, number
from potstill.reporting.model_table import Evaluation
from potstill.reporting.number_formats import NONE, decimal, interval, percent
from potstill.reporting.others import Table

BESIDE = ("n", "row_right", "row_digest")
"""What the figures of a task hold besides metrics."""


def parted(evaluations: Sequence[Evaluation]) -> tuple[list[Evaluation], list[Evaluation]]:
    """Return what the harness measured, and all other evaluations."""
    by_harness = [one for one in evaluations if _tasks(one)]
    return by_harness, [one for one in evaluations if not _tasks(one)]


def harness_table(measured: Sequence[Evaluation]) -> Table | None:
    """Return all scores, a line a task and metric and a column a model; `None` where nothing was measured."""
    if not measured:
        return None
    places = list(dict.fromkeys(place for one in measured for place in _places(one)))
    lines = tuple(
        (task, metric, *_about(measured, task), *(_score(one, task, metric) for one in measured))
        for task, metric in places
    )
    head = ("Task", "Metric", "Rows", "Examples in the prompt", "Version", *(one.label for one in measured))
    caption = "In brackets 95\u202f% intervals; ± is one standard error, as the harness prints it."
    return Table("Tasks of lm-evaluation-harness", head, lines, notes=tuple(_notes(measured)), caption=caption)


def _tasks(evaluation: Evaluation) -> dict[str, Mapping[str, Any]]:
    """Return all tasks of an evaluation, and its groups; nothing of what the harness did not measure."""
    metrics: Any = evaluation.metrics
    tasks = harness_tasks(metrics) if isinstance(metrics, Mapping) else {}
    groups = metrics.get("groups") if tasks else None
    held = groups if isinstance(groups, Mapping) else {}
    return tasks | {f"{name} (group)": one for name, one in held.items() if isinstance(one, Mapping)}


def _places(evaluation: Evaluation) -> Iterator[tuple[str, str]]:
    """Yield tasks with the names of their metrics."""
    for task, scores in _tasks(evaluation).items():
        yield from ((task, name) for name in scores if name not in BESIDE and not name.endswith(("_low", "_high")))


def _about(measured: Sequence[Evaluation], task: str) -> tuple[str, ...]:
    """Return how many rows a task has, how many examples a prompt, and its version."""
    rows = next((value for one in measured if (value := number(_tasks(one).get(task), "n")) is not None), None)
    every = [one.metrics["tasks"] for one in measured if isinstance(one.metrics.get("tasks"), Mapping)]
    about: Mapping[str, Any] = next((tasks[task] for tasks in every if isinstance(tasks.get(task), Mapping)), {})
    texts = (about.get("n_shot"), about.get("version"))
    return ("" if rows is None else f"{rows:,.0f}", *(NONE if text is None else f"{text}" for text in texts))


def _score(evaluation: Evaluation, task: str, metric: str) -> str:
    """Return a score with its interval and standard error."""
    scores = _tasks(evaluation).get(task)
    value, low, high = (number(scores, f"{metric}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return NONE
    is_share = metric.partition(" (")[0] in RIGHTS and 0 <= value <= 1
    shown = percent(value) if is_share else decimal(value)
    rows = number(scores, "n")
    if is_share and rows is not None and rows > 1:
        # of zeros and ones, which is what the harness computes of them, too
        shown += f" ± {100 * math.sqrt(value * (1 - value) / (rows - 1)):.1f}"
    if low is None or high is None:
        return shown
    return f"{shown} ({interval(low, high) if is_share else f'{decimal(low)} to {decimal(high)}'})"


def _notes(measured: Sequence[Evaluation]) -> Iterator[str]:
    """Yield whether chat templates were applied, and where texts were cut: both decide what figures compare."""
    engines: list[Mapping[str, Any]] = [one.metrics["engine"] for one in measured]
    plain = [one.label for one, engine in zip(measured, engines, strict=True) if not engine.get("chat_template", True)]
    if plain and len(plain) < len(measured):
        yield f"Without the chat template: {', '.join(plain)}. Figures with and without it do not compare."
    elif plain:
        yield "No chat template was applied: an instruct model without it scores next to nothing."
    versions = list(dict.fromkeys(str(engine.get("harness")) for engine in engines))
    if len(versions) > 1:
        yield f"By different versions of the harness: {', '.join(versions)}."
    for one, engine in zip(measured, engines, strict=True):
        if shortened := number(engine, "shortened"):
            yield f"{shortened:,.0f} texts were longer than {one.label} reads and were cut off in front."
