"""The file in which a step keeps the rows that it lost, read: by reason, with counts and examples."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = "lost.jsonl"
"""Where a step writes every row that it lost."""


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


def counted(counts: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    """Return the counts of a manifest by state and reason; failures are not distinguished there."""
    each = {("filtered", str(reason)): int(count) for reason, count in (counts.get("filtered") or {}).items()}
    return each | {("failed", str(reason)): int(count) for reason, count in (counts.get("failed") or {}).items()}


def reasons_in(folder: Path, examples: int, known_counts: Mapping[tuple[str, str], int]) -> list[Reason]:
    """Return the reasons for which a step lost rows, the most frequent first.

    Args:
        folder: its payload.
        examples: rows a reason that are kept as examples.
        known_counts: counts by state and reason; what stands there and in no line of the file has no examples.
    """
    counts: Counter[tuple[str, str]] = Counter()
    shown: dict[tuple[str, str], list[dict[str, str]]] = {}
    for line in _lines(folder / FILE):
        place = (str(line.get("state", "permanent")), str(line.get("reason", "")))
        counts[place] += 1
        first = shown.setdefault(place, [])
        if len(first) < examples:
            first.append({"row": str(line.get("row", "")), "detail": str(line.get("detail", ""))})
    with_lines = {reason for _, reason in counts}
    counts.update({place: count for place, count in known_counts.items() if place[1] not in with_lines})
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
