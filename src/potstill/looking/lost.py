"""What filters and failures took from a step's rows: by reason, with counts and examples."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.engine.inventory import complete_key
from potstill.engine.pipeline import open_store
from potstill.engine.store.artifacts import Store
from potstill.errors import RequestError

FILE = "lost.jsonl"
"""Where a step writes every row that it lost."""
LONGEST = 160
"""Letters of an example's detail that are printed."""


@dataclass(frozen=True)
class Reason:
    """Rows that were lost for one reason."""

    state: str
    """`filtered` (dropped on purpose), `permanent` or `retryable` (failed)."""
    reason: str
    """Why."""
    count: int
    """How many."""
    examples: list[dict[str, str]]
    """The first of them, each with its `row` and `detail`."""


@dataclass(frozen=True)
class Losses:
    """What became of the rows of one step."""

    key: str
    """Its key."""
    name: str
    """Its name; empty where no record knows it any more."""
    finished: bool
    """Whether it is done, rather than running or failed."""
    kept: int | None
    """Rows that it kept; None until it is done."""
    reasons: list[Reason]
    """Why rows were lost, the most frequent reason first."""

    @property
    def total(self) -> int:
        """Return how many rows were lost."""
        return sum(reason.count for reason in self.reasons)

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        return {
            "key": self.key,
            "name": self.name,
            "finished": self.finished,
            "kept": self.kept,
            "lost": self.total,
            "reasons": [vars(reason) for reason in self.reasons],
        }


def losses(store: str | Store | None, start: str, examples: int) -> Losses:
    """Return what the step whose key begins with `start` lost, with up to `examples` rows a reason.

    A step that failed, as it lost too many rows, can be asked about, too.

    Raises:
        RequestError: there is no such step, or what there is of it is damaged.
    """
    opened = open_store(store)
    key = complete_key(opened, start)
    lookup = opened.lookup(key)
    if lookup.artifact is not None:
        manifest = lookup.artifact.manifest
        reasons = _reasons(lookup.artifact.path / FILE, examples, _counted(manifest["counts"]))
        return Losses(key, str(manifest["name"]), True, int(manifest["counts"].get("kept") or 0), reasons)
    payload = opened.root / "work" / key / "payload"
    if not payload.is_dir():
        raise RequestError(f"the artifact {key} is not complete: {lookup.damage or 'nothing of it is left'}")
    return Losses(key, _name(opened, key), False, None, _reasons(payload / FILE, examples, {}))


def _name(store: Store, key: str) -> str:
    """Return the name of a step that is not done, from the records of runs."""
    return next((entry.step for entry in store.runs.entries()[0] if entry.key == key), "")


def _counted(counts: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """Return the counts of a manifest by state and reason; failures are not distinguished there."""
    each = {("filtered", str(reason)): int(count) for reason, count in (counts.get("filtered") or {}).items()}
    return each | {("failed", str(reason)): int(count) for reason, count in (counts.get("failed") or {}).items()}


def _reasons(path: Path, examples: int, counted: Mapping[tuple[str, str], int]) -> list[Reason]:
    """Return the reasons in a file of lost rows; what was `counted` and stands in no line has no examples."""
    counts: Counter[tuple[str, str]] = Counter()
    shown: dict[tuple[str, str], list[dict[str, str]]] = {}
    for line in _lines(path):
        place = (str(line.get("state", "permanent")), str(line.get("reason", "")))
        counts[place] += 1
        first = shown.setdefault(place, [])
        if len(first) < examples:
            first.append({"row": str(line.get("row", "")), "detail": str(line.get("detail", ""))})
    seen = {reason for _, reason in counts}
    counts.update({place: count for place, count in counted.items() if place[1] not in seen})
    order = sorted(counts, key=lambda place: (-counts[place], place))
    return [Reason(state, reason, counts[state, reason], shown.get((state, reason), [])) for state, reason in order]


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of a file of lost rows; one that a kill cut short counts for nothing."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(value, dict):
                yield value


def described(lost: Losses) -> str:
    """Return what was lost for a person to read."""
    if not lost.reasons:
        return f"{lost.name or lost.key}: no row was lost"
    of = "so far" if lost.kept is None else f"of {lost.total + lost.kept:,} rows"
    unfinished = "" if lost.finished else " (the step is not done; `potstill log` says why)"
    lines = [f"{lost.name or lost.key}: {lost.total:,} lost {of}{unfinished}"]
    for reason in lost.reasons:
        lines.append(f"{reason.count:8,}  {reason.state:9}  {reason.reason}")
        for example in reason.examples:
            detail = " ".join(example["detail"].split())
            cut = f"{detail[:LONGEST]} …+{len(detail) - LONGEST:,}" if len(detail) > LONGEST else detail
            lines.append(f"{'':21}{example['row']}" + (f": {cut}" if cut else ""))
    return "\n".join(lines)
