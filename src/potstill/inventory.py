"""What the store holds: listed, shown with its lineage, verified, and collected when nothing uses it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from potstill import garbage
from potstill.digests import walk
from potstill.errors import RequestError
from potstill.pipeline import open_store
from potstill.store import Artifact, Store


def listing(store: str | None) -> list[dict[str, Any]]:
    """Return an entry for every artifact: key, name, type, rows, size, whether it is whole."""
    return [_entry(key, found.artifact, path) for key, found, path in _all(open_store(store))]


def _all(store: Store) -> Any:
    """Yield (key, lookup, path) of every artifact."""
    for key, found in store.artifacts():
        yield key, found, store.root / "artifacts" / key


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
    """Return the bytes of all files below a folder."""
    return sum(file.stat().st_size for file in walk(path))


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
        raise RequestError(f"{what} in {store.root} with a key that starts with {start!r}; see `potstill ls`")
    return fitting[0]


def description(store: str | None, start: str) -> dict[str, Any]:
    """Return an artifact's manifest and, for each ancestor, its key, name and whether it is still there."""
    opened = open_store(store)
    key = complete_key(opened, start)
    found = opened.lookup(key)
    if found.artifact is None:
        why = found.damage or "it is being made, or its step failed"
        raise RequestError(f"the artifact {key} is not complete: {why}")
    lineage: dict[str, dict[str, Any]] = {}
    waiting = list(found.artifact.manifest["input_keys"])
    while waiting:
        parent = waiting.pop(0)
        if parent in lineage:
            continue
        artifact = opened.lookup(parent).artifact
        lineage[parent] = {"key": parent, "name": artifact.manifest["name"] if artifact else None,
                           "type": artifact.manifest["type"] if artifact else None}  # fmt: skip
        waiting += list(artifact.manifest["input_keys"]) if artifact else []
    return {**found.artifact.manifest, "path": str(found.artifact.path), "lineage": list(lineage.values())}


def show(entry: dict[str, Any]) -> str:
    """Return a description for a person to read."""
    lines = [f"{entry['type']} {entry['name']}", f"  key       {entry['key']}", f"  path      {entry['path']}"]
    lines.append(f"  made by   pipeline {entry['pipeline']} in {entry['seconds']:.1f} s on {entry['host']['name']}")
    if entry["rows"] is not None:
        lines.append(f"  rows      {entry['rows']:,}")
    counts = {name: value for name, value in entry["counts"].items() if value}
    lines.append(f"  counts    {json.dumps(counts)}")
    lines += [f"  {name:9} {json.dumps(value)}" for name, value in entry["params"].items()]
    lines.append("  lineage")
    lines += [f"    {item['key']}  {item['type'] or '(gone)'} {item['name'] or ''}" for item in entry["lineage"]]
    return "\n".join(lines)


def log(store: str | None, start: str) -> str:
    """Return the log of a finished or failed step."""
    opened = open_store(store)
    key = complete_key(opened, start)
    for path in (opened.root / "artifacts" / key / "log.txt", opened.root / "work" / key / "payload" / "log.txt"):
        if path.is_file():
            return path.read_text(encoding="utf-8", errors="replace")
    raise RequestError(f"there is no log for {key}")


def verify(store: str | None) -> tuple[int, dict[str, str]]:
    """Hash all artifacts anew, without remembered digests; returns how many, and what is wrong by key."""
    os.environ["POTSTILL_FORGET_DIGESTS"] = "1"
    try:
        found = list(open_store(store).artifacts())
    finally:
        del os.environ["POTSTILL_FORGET_DIGESTS"]
    return len(found), {key: lookup.damage or "it has no manifest" for key, lookup in found if lookup.artifact is None}


def collect(store: str | None, *, consent: bool = False) -> tuple[list[str], int]:
    """Delete what `garbage.collect` does; returns the keys of the artifacts and the bytes."""
    collected = garbage.collect(open_store(store), consent=consent)
    return [item.key for item in collected.removed], collected.size
