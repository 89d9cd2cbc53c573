"""What the store holds: listed, shown with its lineage, verified, and collected when nothing uses it."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from potstill.engine.digests import walk
from potstill.engine.pipeline import open_store
from potstill.engine.store import garbage
from potstill.engine.store.artifacts import Artifact, Store
from potstill.engine.store.pins import all_pins
from potstill.engine.store.run_history import histories
from potstill.errors import RequestError

FIGURES = 40
"""Most metrics that `show` prints; the file has all of them."""


def listing(store: str | Store | None) -> list[dict[str, Any]]:
    """Return an entry for every artifact, and for every step that runs: key, name, type, rows, size, status."""
    opened = open_store(store)
    whole = [_entry(key, lookup.artifact, opened.root / "artifacts" / key) for key, lookup in opened.artifacts()]
    return whole + list(_running(opened))


def _running(store: Store) -> Iterator[dict[str, Any]]:
    """Yield an entry for every step that a run makes at present, on any machine."""
    for pins in all_pins(store.root):
        for key, step in pins.started.items():
            work = store.root / "work" / key
            if pins.alive and work.is_dir() and (work / "payload").is_dir():
                yield {
                    "key": key,
                    "status": "running",
                    "name": step["step"],
                    "type": str(step.get("type", "?")),
                    "rows": None,
                    "size": size_of(work),
                    "path": str(work),
                }


def _entry(key: str, artifact: Artifact | None, path: Path) -> dict[str, Any]:
    """Describe one artifact in a line."""
    manifest = artifact.manifest if artifact else {"name": "?", "type": "?", "rows": None}
    return {
        "key": key,
        "status": "whole" if artifact else "damaged",
        "name": manifest["name"],
        "type": manifest["type"],
        "rows": manifest["rows"],
        "size": size_of(path),
        "path": str(path),
    }


def size_of(path: Path) -> int:
    """Return the bytes of all files below a folder; what goes meanwhile counts for nothing."""
    total = 0
    for file in walk(path):
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def complete_key(store: Store, start: str) -> str:
    """Return the one key in the store (or in work) that begins with `start`.

    Raises:
        RequestError: no key does, or several do.
    """
    folders = [store.root / "artifacts", store.root / "work"]
    keys = sorted({path.name for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_dir()})
    fitting = [key for key in keys if key.startswith(start)]
    if len(fitting) != 1:
        what = "no artifact" if not fitting else f"{len(fitting)} artifacts"
        hint = _near(store, keys, start) if not fitting else "give more of it, or see `potstill ls`"
        raise RequestError(f"{what} in {store.root} with a key that starts with {start!r}: {hint}")
    return fitting[0]


def _near(store: Store, keys: Sequence[str], start: str) -> str:
    """Return in words what may be meant by a key that is not there: the nearest key, or a step of that name."""
    close = difflib.get_close_matches(start, sorted({key[: len(start)] for key in keys}), n=1)
    if close:
        return f"did you mean {next(key for key in keys if key.startswith(close[0]))}?"
    by_name = {entry.step: entry.key for entry in store.runs.entries()[0]}
    near = difflib.get_close_matches(start, list(by_name), n=1)
    return f"did you mean {by_name[near[0]]}, the step {near[0]!r}?" if near else "see `potstill ls`"


def whole_artifact(store: Store, key: str) -> Artifact:
    """Return the artifact of a key.

    Raises:
        RequestError: it is not complete.
    """
    lookup = store.lookup(key)
    if lookup.artifact is None:
        why = lookup.damage or "it is being made, or its step failed"
        raise RequestError(f"the artifact {key} is not complete: {why}")
    return lookup.artifact


def description(store: str | Store | None, start: str) -> dict[str, Any]:
    """Return an artifact's manifest and, for each ancestor, its key, name and whether it is still there."""
    opened = open_store(store)
    whole = whole_artifact(opened, complete_key(opened, start))
    lineage: dict[str, dict[str, Any]] = {}
    waiting = list(whole.manifest["input_keys"])
    while waiting:
        parent = waiting.pop(0)
        if parent in lineage:
            continue
        artifact = opened.lookup(parent).artifact
        lineage[parent] = {
            "key": parent,
            "name": artifact.manifest["name"] if artifact else None,
            "type": artifact.manifest["type"] if artifact else None,
        }
        waiting += list(artifact.manifest["input_keys"]) if artifact else []
    metrics = read_metrics(whole.path / "metrics.json")
    return {**whole.manifest, "path": str(whole.path), "metrics": metrics, "lineage": list(lineage.values())}


def read_metrics(path: Path) -> dict[str, Any]:
    """Return the metrics in a file; none where there is no such file, or another one of that name."""
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return metrics if isinstance(metrics, dict) else {}


def _figures(prefix: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield the numbers and short texts of nested metrics, each with its path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _figures(f"{prefix}.{name}" if prefix else str(name), inner)
    elif isinstance(value, float):
        yield prefix, f"{value:.6g}"
    elif isinstance(value, (int, str, type(None))) and len(str(value)) <= 60:
        yield prefix, str(value)


def _cost(notes: Mapping[str, Any]) -> list[str]:
    """Return lines on what a step asked of a teacher, and what that cost."""
    usage = notes.get("usage")
    if not isinstance(usage, Mapping) or not usage:
        return []
    parts = [f"{value:,} {name.replace('_', ' ')}" for name, value in usage.items() if value and name != "cost"]
    parts += [f"${usage['cost']:.4f}"] if usage.get("cost") else []
    return [f"  teacher   {', '.join(parts) or 'asked nothing'}"]


def show(entry: dict[str, Any]) -> str:
    """Return a description for a person to read."""
    lines = [f"{entry['type']} {entry['name']}", f"  key       {entry['key']}", f"  path      {entry['path']}"]
    lines.append(f"  made by   pipeline {entry['pipeline']} in {entry['seconds']:.1f} s on {entry['host']['name']}")
    if entry["rows"] is not None:
        lines.append(f"  rows      {entry['rows']:,}")
    counts = {name: value for name, value in entry["counts"].items() if value}
    lines.append(f"  counts    {json.dumps(counts)}")
    lines += _cost(entry["notes"])
    figures = list(_figures("", entry["metrics"]))
    lines += ["  metrics"] if figures else []
    lines += [f"    {name:30} {value}" for name, value in figures[:FIGURES]]
    lines += [f"    and {len(figures) - FIGURES} more in metrics.json"] if len(figures) > FIGURES else []
    lines += [f"  {name:9} {json.dumps(value)}" for name, value in entry["params"].items()]
    lines.append("  lineage")
    lines += [f"    {item['key']}  {item['type'] or '(gone)'} {item['name'] or ''}" for item in entry["lineage"]]
    return "\n".join(lines)


def log(store: str | None, start: str) -> str:
    """Return the log of a finished or failed step; of one that failed before it had one, why it did.

    Raises:
        RequestError: nothing is known of such a key, or several begin so.
    """
    opened = open_store(store)
    try:
        key = complete_key(opened, start)
    except RequestError:
        fitting = [error for key, error in _errors(opened).items() if key.startswith(start)]
        if len(fitting) != 1:
            raise
        return f"It failed before it had a log: {fitting[0]}\n"
    path = log_file(opened, key)
    if path is not None:
        return path.read_text(encoding="utf-8", errors="replace")
    if key in (errors := _errors(opened)):
        return f"It failed before it had a log: {errors[key]}\n"
    raise RequestError(f"there is no log for {key}")


def log_file(store: Store, key: str) -> Path | None:
    """Return the file with the log of a step; `None` of one that has none."""
    places = (store.root / "artifacts" / key / "log.txt", store.root / "work" / key / "payload" / "log.txt")
    return next((path for path in places if key and path.is_file()), None)


def _errors(store: Store) -> dict[str, str]:
    """Return by key why steps failed, the last time each of them did."""
    steps = (step for run in reversed(histories(store.root)) for step in run.steps)
    return {step.key: step.error for step in steps if step.key and step.error}


def verify(store: str | None) -> tuple[int, dict[str, str]]:
    """Hash all artifacts without remembered digests; return how many there are, and what is wrong by key."""
    # by the environment: files are digested many calls below
    os.environ["POTSTILL_FORGET_DIGESTS"] = "1"
    try:
        lookups = list(open_store(store).artifacts())
    finally:
        del os.environ["POTSTILL_FORGET_DIGESTS"]
    broken = {key: lookup for key, lookup in lookups if lookup.artifact is None}
    return len(lookups), {key: lookup.damage or "it has no manifest" for key, lookup in broken.items()}


def collect(store: str | None, *, consent: bool = False) -> tuple[list[str], int]:
    """Delete what `garbage.collect` does; returns the keys of the artifacts and the bytes."""
    collected = garbage.collect(open_store(store), consent=consent)
    return [item.key for item in collected.removed], collected.size
