"""What became of every row: kept, retryable, permanent, or filtered with the reason. A failure is never a success."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from potstill.errors import TooManyLost

State = Literal["retryable", "permanent", "filtered"]


class Ledger:
    """Counts the rows of one running step and writes those that it lost, with the reason, beside the payload."""

    def __init__(self, path: Path | None = None) -> None:
        """Write lost rows to `path` (JSON lines), or only count them."""
        self._path = path
        self.kept = 0
        self.lost: Counter[tuple[str, str]] = Counter()
        self._examples: list[str] = []
        self._remedies: dict[str, str] = {}

    def keep(self, count: int = 1) -> None:
        """Count rows that made it."""
        self.kept += count

    def lose(self, row: str, state: State, reason: str, detail: str = "", *, remedy: str = "") -> None:
        """Record that `row` did not make it.

        `filtered` rows were dropped on purpose; `permanent` ones failed for good; `retryable` ones are asked again by
        the next run. `reason` is a short phrase that many rows share, `detail` belongs to this one, and `remedy` says
        what to change so that no row is lost for this reason.
        """
        if remedy:
            self._remedies[reason] = remedy
        self.lost[(state, reason)] += 1
        if state != "filtered" and len(self._examples) < 3:
            self._examples.append(f"{row}: {reason}{f' ({detail[:200]})' if detail else ''}")
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"row": row, "state": state, "reason": reason, "detail": detail}) + "\n")

    def total(self, state: State) -> int:
        """Return how many rows ended in `state`."""
        return sum(count for (kind, _), count in self.lost.items() if kind == state)

    def counts(self) -> dict[str, Any]:
        """Return the counts for the manifest."""
        filtered = {reason: count for (state, reason), count in sorted(self.lost.items()) if state == "filtered"}
        failed = {reason: count for (state, reason), count in sorted(self.lost.items()) if state != "filtered"}
        return {
            "kept": self.kept,
            "retryable": self.total("retryable"),
            "permanent": self.total("permanent"),
            "filtered": filtered,
            "failed": failed,
        }

    def close(self, max_failed: float) -> None:
        """Check the losses against the step's limit.

        Raises:
            TooManyLost: more than the share `max_failed` of the rows were lost to failures.
        """
        lost = self.total("retryable") + self.total("permanent")
        total = lost + self.kept + self.total("filtered")
        if lost and lost > max_failed * total:
            raise TooManyLost(
                f"lost {lost} of {total} rows, more than max_failed={max_failed:g} allows: {self._reasons()}. Finished "
                f"rows are kept, and the next run asks only for the {self.total('retryable')} retryable ones; set "
                f"max_failed={math.ceil(100 * lost / total) / 100:g} to go on without these. First: "
                + "; ".join(self._examples)
            )

    def _reasons(self) -> str:
        """Return the reasons of failures with their counts and remedies, the most frequent first."""
        counts: Counter[str] = Counter()
        for (state, reason), count in self.lost.items():
            counts[reason] += count if state != "filtered" else 0
        return ", ".join(
            f"{count} {reason}" + (f" ({self._remedies[reason]})" if reason in self._remedies else "")
            for reason, count in counts.most_common(5)
            if count
        )
