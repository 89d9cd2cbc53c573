"""What filters and failures took from a step's rows: by reason, with counts and examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from potstill.engine.inventory import complete_key
from potstill.engine.lost_rows import Reason, counted, reasons_in
from potstill.engine.pipeline import open_store
from potstill.engine.store.artifacts import Store
from potstill.errors import RequestError

LONGEST = 160
"""Letters of an example's detail that are printed."""


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
        reasons = reasons_in(lookup.artifact.path, examples, counted(manifest["counts"]))
        return Losses(key, str(manifest["name"]), True, int(manifest["counts"].get("kept") or 0), reasons)
    payload = opened.root / "work" / key / "payload"
    if not payload.is_dir():
        raise RequestError(f"the artifact {key} is not complete: {lookup.damage or 'nothing of it is left'}")
    return Losses(key, _name(opened, key), False, None, reasons_in(payload, examples, {}))


def _name(store: Store, key: str) -> str:
    """Return the name of a step that is not done, from the records of runs."""
    return next((entry.step for entry in store.runs.entries()[0] if entry.key == key), "")


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
