"""What running runs use: a pin file for each run, which `gc` honours wherever the run is.

STORE/pins/RUN.jsonl   who runs what (host, boot, process namespace, process), then a line for each key that the run
                       found in the store or makes; touched every few seconds while the run goes on

A pin file whose run is over, because it failed or was killed, still says what an unfinished run made: `gc` deletes that
only if asked to. A run writes its pins under a shared lock, and `gc` decides under an exclusive one, so that it
sees every pin of what it takes.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from potstill.engine.processes import Process, run_name
from potstill.engine.store import lines
from potstill.engine.store.file_locks import ALONE, TOGETHER, lock_file, unlock_file
from potstill.engine.store.run_records import Origin

HEARTBEAT_SECONDS = 20.0
"""How often a run touches its pin file."""
EXPIRY_SECONDS = 900.0
"""Age of the last touch from which a run on another machine counts as dead."""


@dataclass(frozen=True)
class Pins:
    """What one pin file says."""

    path: Path
    """The file."""
    origin: Origin
    """Whose run it is."""
    alive: bool
    """Whether the run goes on."""
    keys: frozenset[str]
    """What it uses."""
    started: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Name and type of each step that it started, by key."""
    damaged: bool = False
    """Whether there are lines that can't be read any more, which may have held more keys."""


class Pin:
    """The pins of one run, seen from the run."""

    def __init__(self, root: Path, origin: Origin) -> None:
        """Pin keys of the store at `root`; nothing is written before the first one."""
        self._root = root
        self._origin = origin
        self._path = root / "pins" / f"{run_name()}.jsonl"
        self._keys: set[str] = set()
        self._over = threading.Event()
        self._files: tuple[IO[Any], io.FileIO] | None = None  # open for the run: each of its keys is pinned

    def add(self, key: str) -> None:
        """Pin a key before it is looked up: from now on `gc` leaves it alone."""
        if key in self._keys:
            return
        # a run that is refused before it looks anything up leaves no file
        first = not self._keys
        gate, file = self._files = self._files or (_gate(self._root), lines.appended(self._path))
        header = [{**asdict(self._origin), **asdict(Process.this()), "time": time.time()}] if first else []
        # `gc` may have listed the pins a moment ago: a key pinned meanwhile would be deleted under the run
        with not_while_collecting(self._root, gate):
            lines.write(file, [*header, {"key": key}])
        self._keys.add(key)
        if first:
            # a daemon: a run that is killed must not go on saying that it lives
            threading.Thread(target=self._beat, name="potstill-heartbeat", daemon=True).start()

    def start(self, key: str, step: str, kind: str) -> None:
        """Note that the run makes a key, for those who list what is going on."""
        if self._files is not None:
            lines.write(self._files[1], [{"key": key, "step": step, "type": kind}])

    def close(self, *, complete: bool) -> None:
        """End the pins: of a complete run nothing stays, of another one what it used."""
        self._over.set()
        for file in self._files or ():
            file.close()
        with contextlib.suppress(OSError):
            if complete or not self._keys:
                self._path.unlink(missing_ok=True)
                _forget_what_was_finished(self._root, self._origin, self._keys)
            else:
                lines.append(self._path, [{"over": True}])

    def _beat(self) -> None:
        """Touch the file now and then, so that other machines know that the run goes on."""
        while not self._over.wait(HEARTBEAT_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(self._path)


def _forget_what_was_finished(root: Path, origin: Origin, keys: set[str]) -> None:
    """Remove the pins of earlier runs that were not finished then, and whose work a complete run has finished."""
    for pins in all_pins(root):
        if not pins.alive and not pins.damaged and pins.origin == origin:
            # what a later run of the file used is its own; pins go only once nothing else of theirs is left
            left = [key for key in pins.keys - keys if any(_places(root, key))]
            if not left:
                pins.path.unlink(missing_ok=True)


def _places(root: Path, key: str) -> Iterator[bool]:
    """Yield whether there is something of a key in each place of a store."""
    yield (root / "artifacts" / key).exists()
    yield (root / "work" / key).exists()


def all_pins(root: Path, now: float | None = None) -> list[Pins]:
    """Return what all runs of a store say; `now` is the present by the clock of the store's file system."""
    runs = [_read(path, time.time() if now is None else now) for path in sorted((root / "pins").glob("*.jsonl"))]
    return [pins for pins in runs if pins is not None]


def _read(path: Path, now: float) -> Pins | None:
    """Return what a pin file says, or None if it has gone meanwhile."""
    try:
        touched = path.stat().st_mtime
        read = lines.read(path)
    except FileNotFoundError:
        return None
    header = next((value for value in read.values if "pid" in value), {})
    process = _process(header)
    over = any("over" in value for value in read.values)
    # of a process elsewhere only the age of its last touch is known, by the file system's clock
    alive = process.alive() if process and process.of_this_machine() else now - touched < EXPIRY_SECONDS
    named = [value for value in read.values if isinstance(value.get("key"), str)]
    return Pins(
        path=path,
        origin=Origin(*(str(header.get(name, "")) for name in ("pipeline", "file", "host"))),
        alive=alive and not over,
        keys=frozenset(value["key"] for value in named),
        started={value["key"]: value for value in named if "step" in value},
        # without a header nobody can say whether the run goes on, so `gc` counts all as used
        damaged=bool(read.damaged) or process is None,
    )


def _process(header: Mapping[str, Any]) -> Process | None:
    """Return the process that a pin file's first line names, or None if it can't be read."""
    pid, started = header.get("pid"), header.get("started")
    return Process(pid, started) if isinstance(pid, int) and isinstance(started, str) else None


@contextlib.contextmanager
def not_while_collecting(root: Path, gate: IO[Any]) -> Iterator[None]:
    """Run the block while no `gc` decides what to delete; `gate` is open before and after it."""
    lock_file(gate, root / "pins", TOGETHER)
    try:
        yield
    finally:
        unlock_file(gate)


@contextlib.contextmanager
def collecting(root: Path) -> Iterator[float]:
    """Run the block while no run pins anything and no other `gc` decides; yields the file system's present time."""
    with _gate(root) as gate:
        lock_file(gate, root / "pins", ALONE)
        # the file system's own clock: pins of other machines are dated by it, and this machine's may be off
        os.utime(gate.fileno())
        yield os.fstat(gate.fileno()).st_mtime


def _gate(root: Path) -> IO[Any]:
    """Open the file whose lock stands for the right to pin or to collect."""
    (root / "pins").mkdir(parents=True, exist_ok=True)
    return (root / "pins" / ".gate").open("a")
