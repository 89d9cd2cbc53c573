"""What each pipeline file used when it last ran: `plan` compares with it, and `gc` keeps it.

STORE/runs/PIPELINE.jsonl   a line for each step and key, of all files and machines that run a pipeline of that name
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from potstill.engine.store import lines
from potstill.engine.store.file_locks import ALONE, lock_file
from potstill.errors import StoreError


@dataclass(frozen=True)
class Origin:
    """Where runs come from that follow on each other: the later one stands for the earlier one."""

    pipeline: str
    """Name of the pipeline."""
    file: str = ""
    """The file that it is written in, seen from the store's folder; empty where an earlier version recorded none."""
    host: str = ""
    """The machine."""

    @classmethod
    def here(cls, pipeline: str, file: str, root: Path) -> Origin:
        """Return the origin of a run on this machine, of the `pipeline` in `file`, with its store at `root`."""
        # seen from the store: a project that is moved, or mounted elsewhere, keeps its records
        seen = os.path.relpath(file, os.path.realpath(root.parent)) if file else ""
        return cls(pipeline, seen, socket.gethostname())

    def __str__(self) -> str:
        """Return it in words."""
        return f"pipeline {self.pipeline!r}" + (f" of {self.file}" if self.file else "")


@dataclass(frozen=True)
class Entry:
    """One step that a run used."""

    origin: Origin
    """Whose run."""
    step: str
    """Name of the step."""
    key: str
    """Its key."""
    identity: Mapping[str, Any] = field(default_factory=dict)
    """What the key covers."""
    time: float = 0.0
    """When it was recorded."""


class RunRecords:
    """The records of one store."""

    def __init__(self, root: Path) -> None:
        """Keep them in the store at `root`."""
        self._folder = root / "runs"

    def add(self, entry: Entry) -> None:
        """Record a step as it is looked up or started, so that a kill forgets nothing."""
        with self._locked():
            lines.append(self._path(entry.origin.pipeline), [_plain(entry)])

    def finish(self, origin: Origin, entries: Iterable[Entry], steps: Iterable[str]) -> None:
        """After a complete run, forget all that its origin used but the `entries` and the last of its other `steps`."""
        mine = {entry.step: entry for entry in entries}
        with self._locked():
            path = self._path(origin.pipeline)
            before = lines.read(path)
            if before.damaged:
                return  # what was damaged may be read by a later version, or mended by hand
            recorded = [entry for value in before.values if (entry := _entry(value)) is not None]
            # of steps that this run left out (`--only`) the record before stays
            last = {entry.step: entry for entry in recorded if entry.origin == origin} | mine
            remaining = [entry for entry in recorded if entry.origin != origin]
            remaining += [last[name] for name in dict.fromkeys(steps) if name in last]
            # replaced by one rename: who reads it meanwhile (without the lock) sees the old lines or the new ones
            partial = path.with_suffix(f".{os.getpid()}")
            partial.write_text("".join(lines.line_of(_plain(entry)) for entry in remaining), encoding="utf-8")
            partial.replace(path)

    def last(self, pipeline: str, file: str) -> dict[str, Entry]:
        """Return the last record of each step of a pipeline's file by name.

        A file of which nothing is known is compared with what an earlier version recorded for the pipeline.
        """
        entries = [entry for entry in self._read(self._path(pipeline))[0] if entry.origin.pipeline == pipeline]
        own = {entry.step: entry for entry in entries if entry.origin.file == file}
        return own or {entry.step: entry for entry in entries if not entry.origin.file}

    def entries(self) -> tuple[list[Entry], list[str]]:
        """Return all records, and where there are lines that can't be read any more."""
        records: list[Entry] = []
        damage: list[str] = []
        for path in sorted(self._folder.glob("*.jsonl")):
            entries, damaged = self._read(path)
            records += entries
            damage += [f"{path}, line {number}" for number in damaged]
        return records, damage

    def _read(self, path: Path) -> tuple[list[Entry], list[int]]:
        """Return the records of one file, and the numbers of its damaged lines."""
        try:
            read = lines.read(path)
        except OSError as error:
            raise StoreError(f"the store's {path} can't be read: {error}") from error
        return [entry for value in read.values if (entry := _entry(value)) is not None], read.damaged

    def _path(self, pipeline: str) -> Path:
        """Return the file of all pipelines of a name."""
        # names that differ in other characters alone would share a file, so these get a digest behind
        safe = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in pipeline)
        digest = hashlib.sha256(pipeline.encode(errors="surrogatepass")).hexdigest()[:8]
        short = safe if len(safe.encode()) <= 200 else safe[:50]  # a file's name may have 255 bytes
        return self._folder / (f"{safe}.jsonl" if short == pipeline else f"{short}-{digest}.jsonl")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time write: a file that is rewritten loses no line that another adds."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("w") as lock:
            lock_file(lock, self._folder, ALONE)
            yield


def _plain(entry: Entry) -> dict[str, Any]:
    """Return the entry as its line holds it."""
    return {
        **asdict(entry.origin),
        "step": entry.step,
        "key": entry.key,
        "time": entry.time or time.time(),
        "identity": entry.identity,
    }


def _entry(value: Mapping[str, Any]) -> Entry | None:
    """Return the entry that a line holds, or None if it lacks what every version wrote."""
    step, key, identity = value.get("step"), value.get("key"), value.get("identity")
    if not (isinstance(step, str) and isinstance(key, str) and isinstance(identity, Mapping)):
        return None
    origin = Origin(*(str(value.get(name, "")) for name in ("pipeline", "file", "host")))
    noted = value.get("time")
    return Entry(origin, step, key, identity, float(noted) if isinstance(noted, (int, float)) else 0.0)
