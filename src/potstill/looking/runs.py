"""What a run consists of: the steps of a pipeline's last run, or an artifact with all that it was made from."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from potstill.engine.inventory import complete_key
from potstill.engine.store.artifacts import Artifact, Store
from potstill.engine.store.run_history import FOLDER, RunHistory, read
from potstill.engine.store.run_records import Entry
from potstill.errors import RequestError

RUN = re.compile(r"\d+-[0-9a-f]+-\d+-[0-9a-f]+")
"""How the names of runs are written."""


@dataclass(frozen=True)
class RunStep:
    """One step of a run."""

    name: str
    """Its name; in the lineage of an artifact, names that come twice are numbered."""
    key: str
    """Its key."""
    identity: Mapping[str, Any] = field(default_factory=dict)
    """What the key covers; empty if nothing is known of it any more."""
    artifact: Artifact | None = None
    """What it made, if that is still there."""

    @property
    def type(self) -> str:
        """Its class."""
        return str(self.artifact.manifest["type"] if self.artifact else self.identity.get("type", ""))


def steps_of(store: Store, run: str) -> list[RunStep]:
    """Return the steps of a run, what is made first coming first.

    Args:
        store: where it ran.
        run: name of a pipeline or of its file, of which the last run is meant; or the name of one run, as the list of
            runs has it; or the start of an artifact's key, which means the artifact with all that it was made from.

    Raises:
        RequestError: there is no such run, or several.
    """
    recorded = store.runs.entries()[0]
    named = [entry for entry in recorded if _is_named(entry, run)]
    if named:
        return _last_run(store, run, named)
    history = read(store.root / FOLDER / f"{run}.jsonl") if RUN.fullmatch(run) else None
    if history is not None:
        return _remembered(store, history, recorded)
    try:
        key = complete_key(store, run)
    except RequestError as error:
        names = {name for entry in recorded for name in (entry.origin.pipeline, entry.origin.file) if name}
        near = difflib.get_close_matches(run, sorted(names), n=1)
        raise (RequestError(f"no run {run!r} in {store.root}: did you mean {near[0]}?") if near else error) from None
    return _lineage(store, key)


def _is_named(entry: Entry, run: str) -> bool:
    """Return whether a step was used by the pipeline, or the file, of a name."""
    origin = entry.origin
    return bool(run) and run in (origin.pipeline, origin.file, PurePath(origin.file).name)


def _last_run(store: Store, run: str, entries: list[Entry]) -> list[RunStep]:
    """Return the last record of each step of one pipeline's file."""
    origins = {(entry.origin.pipeline, entry.origin.file): str(entry.origin) for entry in entries}
    if len(origins) > 1:
        raise RequestError(f"{run!r} may be {' or '.join(sorted(origins.values()))}: give a key, or the file's path")
    last = {entry.step: entry for entry in sorted(entries, key=lambda entry: entry.time)}
    in_order = dict.fromkeys(entry.step for entry in entries)
    return [
        RunStep(name, last[name].key, last[name].identity, store.lookup(last[name].key).artifact) for name in in_order
    ]


def _remembered(store: Store, history: RunHistory, recorded: list[Entry]) -> list[RunStep]:
    """Return the steps of a run that has a history, as far as it came."""
    identities = {entry.key: entry.identity for entry in recorded}
    steps = []
    for step in history.steps:
        artifact = store.lookup(step.key).artifact if step.key else None
        identity = artifact.manifest.get("identity", {}) if artifact else identities.get(step.key, {})
        if step.key:
            steps.append(RunStep(step.name, step.key, identity, artifact))
    return steps


def _lineage(store: Store, key: str) -> list[RunStep]:
    """Return an artifact and its ancestors, the ancestors first; those that are gone have a key and a name like it."""
    recorded = {entry.key: entry for entry in store.runs.entries()[0]}
    names: dict[str, int] = {}
    steps = []
    for place, artifact in _walk(store, key):
        entry = recorded.get(place)
        name = str(artifact.manifest["name"]) if artifact else entry.step if entry else place
        identity = artifact.manifest.get("identity", {}) if artifact else entry.identity if entry else {}
        names[name] = names.get(name, 0) + 1
        steps.append(RunStep(name if names[name] == 1 else f"{name} ({names[name]})", place, identity, artifact))
    return steps


def _walk(store: Store, key: str) -> Iterator[tuple[str, Artifact | None]]:
    """Yield each artifact behind `key` once, its inputs before it; a loop, as a lineage may be deep."""
    artifacts: dict[str, Artifact | None] = {}
    done: set[str] = set()
    stack = [key]
    while stack:
        place = stack[-1]
        if place not in artifacts:
            artifacts[place] = store.lookup(place).artifact
            artifact = artifacts[place]
            stack += (
                [one for one in reversed(artifact.manifest["input_keys"]) if one not in artifacts] if artifact else []
            )
            continue
        stack.pop()
        if place not in done:
            done.add(place)
            yield place, artifacts[place]
