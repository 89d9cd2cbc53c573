"""The runs that a store knows of, and each step of one with what it made: what a page or a list shows of them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from potstill.engine.store.artifacts import Artifact, Store
from potstill.engine.store.run_history import RunHistory, StepHistory, histories
from potstill.engine.store.run_records import Entry, Origin
from potstill.errors import RequestError, StoreError

RECORDED = "last-"
"""How the names of runs begin of which only `runs/` knows: those of an earlier version of Potstill."""


@dataclass(frozen=True)
class Step:
    """A step of a run."""

    history: StepHistory
    """What became of it."""
    artifact: Artifact | None
    """What it made, if that is in the store and whole."""
    damage: str = ""
    """Why what it made can't be used."""


def all_runs(store: Store) -> list[RunHistory]:
    """Return all runs of a store, those that go on first and then the latest."""
    runs = histories(store.root)
    with_history = {(run.origin.pipeline, run.origin.file) for run in runs}
    return runs + [run for run in _recorded(store) if (run.origin.pipeline, run.origin.file) not in with_history]


def run_of(store: Store, name: str) -> RunHistory:
    """Return the run of a name, or of the start of one.

    Raises:
        RequestError: there is none, or several.
    """
    runs = all_runs(store)
    fitting = [run for run in runs if run.id.startswith(name)] if name else []
    if len(fitting) != 1:
        near = difflib.get_close_matches(name, [run.id for run in runs], n=1)
        hint = f"did you mean {near[0]}?" if near else "see the list of runs"
        raise RequestError(f"{'no run' if not fitting else 'several runs'} {name!r} in {store.root}: {hint}")
    return fitting[0]


def steps_with_artifacts(store: Store, run: RunHistory) -> list[Step]:
    """Return the steps of a run with what they made; what is in the store now, whatever it was then."""
    steps = []
    for history in run.steps:
        lookup = store.lookup(history.key) if history.key else None
        steps.append(Step(history, lookup.artifact if lookup else None, lookup.damage if lookup else ""))
    return steps


def _recorded(store: Store) -> Iterator[RunHistory]:
    """Yield the last run of each pipeline's file, of which nothing more is known than what it used."""
    try:
        entries = store.runs.entries()[0]
    except StoreError:
        return
    by_origin: dict[Origin, dict[str, Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.time):
        by_origin.setdefault(entry.origin, {})[entry.step] = entry
    for number, (origin, last) in enumerate(by_origin.items()):
        steps = tuple(_step(store, name, entry.key) for name, entry in last.items())
        times = [entry.time for entry in last.values()]
        yield RunHistory(f"{RECORDED}{number}", origin, "recorded", min(times), max(times), steps)


def _step(store: Store, name: str, key: str) -> StepHistory:
    """Return what the store says of a step."""
    artifact = store.lookup(key).artifact
    if artifact is None:
        return StepHistory(name, "", (), "gone", key)
    inputs = [str(one) for names in artifact.manifest["inputs"].values() for one in names]
    kind, seconds = str(artifact.manifest["type"]), float(artifact.manifest["seconds"])
    return StepHistory(name, kind, tuple(dict.fromkeys(inputs)), "kept", key, seconds, rows=artifact.rows)
