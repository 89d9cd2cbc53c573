"""What differs between two runs, step by step: parameters and code, rows and their content, figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from potstill.engine.inventory import read_metrics
from potstill.engine.keys.identity import explain
from potstill.engine.pipeline import open_store
from potstill.engine.store.artifacts import Artifact
from potstill.looking.rows import plain
from potstill.looking.runs import RunStep, steps_of

MOST = 20
"""Figures of a step that are printed; `--json` has all of them."""
WHOLE: Mapping[str, Any] = {"schema": None, "type": "", "version": None, "code": {}, "params": {}, "inputs": {}}
"""What an identity has at least."""

State = Literal["same", "changed", "same content", "only in the first", "only in the second"]


@dataclass(frozen=True)
class StepDiff:
    """One step in two runs."""

    first: RunStep | None
    """As it was in the first."""
    second: RunStep | None
    """As it was in the second."""

    @property
    def name(self) -> str:
        """Its name, or both of them."""
        names = [step.name for step in (self.first, self.second) if step is not None]
        return " / ".join(dict.fromkeys(names))

    @property
    def state(self) -> State:
        """Whether it differs; with another key it may have made the same all the same."""
        if self.first is None or self.second is None:
            return "only in the second" if self.first is None else "only in the first"
        if self.first.key == self.second.key:
            return "same"
        digests = [_of(step.artifact, "digests") for step in (self.first, self.second)]
        return "same content" if digests[0] and digests[0] == digests[1] else "changed"

    @property
    def changes(self) -> list[str]:
        """What differs of what the key covers, in words."""
        if self.first is None or self.second is None or self.first.key == self.second.key:
            return []
        if not self.first.identity or not self.second.identity:
            return ["nothing is known of one of them any more"]
        return explain({**WHOLE, **self.first.identity}, {**WHOLE, **self.second.identity})

    @property
    def figures(self) -> dict[str, tuple[float | None, float | None]]:
        """The figures of both by name, also those that are equal; None where one lacks it."""
        first, second = (dict(_figures("", _metrics(step))) for step in (self.first, self.second))
        return {name: (first.get(name), second.get(name)) for name in {**first, **second}}

    def both(self, what: str) -> tuple[Any, Any]:
        """Return a field of both manifests, None where there is none."""
        first, second = (_of(step.artifact if step else None, what) for step in (self.first, self.second))
        return first, second

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        steps = (self.first, self.second)
        return {
            "name": self.name,
            "type": next(step.type for step in steps if step is not None),
            "state": self.state,
            "keys": [step.key if step else None for step in steps],
            "changes": self.changes,
            **{what: list(self.both(what)) for what in ("rows", "counts", "digests", "seconds")},
            "metrics": {
                name: [plain(first), plain(second), plain(difference(first, second))]
                for name, (first, second) in self.figures.items()
            },
        }


def compare(store: str | None, first: str, second: str) -> list[StepDiff]:
    """Return the steps of two runs side by side, in the order of the first; see `steps_of` for what a run is.

    Steps belong together by name; those left over by type, if each is a run's last or the only one left of its type.

    Raises:
        RequestError: there is no such run, or several.
    """
    opened = open_store(store)
    return paired(steps_of(opened, first), steps_of(opened, second))


def paired(first: Sequence[RunStep], second: Sequence[RunStep]) -> list[StepDiff]:
    """Return which step of the one run stands for which of the other."""
    by_name = {step.name: step for step in second}
    mates = {step.name: by_name[step.name] for step in first if step.name in by_name}
    left = [step for step in first if step.name not in mates]
    others = [step for step in second if step.name not in mates]
    ends = left and others and left[-1] is first[-1] and others[-1] is second[-1]
    if ends and left[-1].type == others[-1].type:
        mates[left.pop().name] = others.pop()
    for step in left:
        same = [[one for one in steps if one.type == step.type] for steps in (left, others)]
        if step.type and len(same[0]) == len(same[1]) == 1:
            mates[step.name] = same[1][0]
    taken = {step.name for step in mates.values()}
    return [
        *(StepDiff(step, mates.get(step.name)) for step in first),
        *(StepDiff(None, step) for step in second if step.name not in taken),
    ]


def difference(first: float | None, second: float | None) -> float | None:
    """Return the second minus the first; None where one is missing."""
    return None if first is None or second is None else second - first


def _of(artifact: Artifact | None, what: str) -> Any:
    """Return a field of an artifact's manifest, or None."""
    return artifact.manifest.get(what) if artifact else None


def _metrics(step: RunStep | None) -> Mapping[str, Any]:
    """Return the figures that a step measured."""
    artifact = step.artifact if step else None
    return read_metrics(artifact.path / "metrics.json") if artifact else {}


def _figures(before: str, value: object) -> Iterator[tuple[str, float]]:
    """Yield the numbers in nested figures, each with its path."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _figures(f"{before}.{name}" if before else str(name), inner)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield before, value


def described(steps: Sequence[StepDiff]) -> str:
    """Return the differences for a person to read; steps that are the same are only counted."""
    lines: list[str] = []
    for step in steps:
        if step.state != "same":
            lines += _lines(step)
    same = sum(step.state == "same" for step in steps)
    return "\n".join([*lines, f"{same} of {len(steps)} steps are the same"])


def _lines(step: StepDiff) -> Iterator[str]:
    """Yield the lines on one step."""
    keys = [one.key[:12] for one in (step.first, step.second) if one is not None]
    yield f"{step.name}: {step.state}  ({' -> '.join(keys)})"
    yield from (f"  {change}" for change in step.changes)
    if step.first is None or step.second is None:
        return
    before, after = step.both("rows")
    if before is not None and after is not None:
        yield f"  rows  {before:,} -> {after:,}" + (f" ({after - before:+,})" if after != before else "")
    yield from _count_lines(*step.both("counts"))
    changed = {name: pair for name, pair in step.figures.items() if not _equal(*pair)}
    for name, (one, other) in list(changed.items())[:MOST]:
        by = difference(one, other)
        yield f"  {name:30} {_number(one)} -> {_number(other)}" + (f" ({by:+.4g})" if by is not None else "")
    if len(changed) > MOST:
        yield f"  and {len(changed) - MOST} more figures; --json has all of them"


def _count_lines(first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield a line for each reason for which the two lost differently many rows."""
    for state in ("filtered", "failed"):
        before, after = ((counts or {}).get(state) or {} for counts in (first, second))
        for reason in dict.fromkeys([*before, *after]):
            one, other = int(before.get(reason, 0)), int(after.get(reason, 0))
            if one != other:
                yield f"  {state}: {reason}  {one:,} -> {other:,} ({other - one:+,})"


def _equal(first: float | None, second: float | None) -> bool:
    """Return whether two figures are the same; NaN is NaN."""
    return first == second or (first is not None and second is not None and math.isnan(first) and math.isnan(second))


def _number(value: float | None) -> str:
    """Return a figure as text."""
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
