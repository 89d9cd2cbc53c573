"""What `gc` deletes: what a later complete run of the same file has superseded, and no run that goes on uses.

Whatever else no remembered run uses is doubtful: an unfinished run made it, or another file, another machine or an
earlier version of Potstill. It is named, and deleted only on consent. Where a record can't be read, nothing is deleted:
it may have named any result.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from potstill.engine.digests import walk
from potstill.engine.encoding import KEY_LENGTH
from potstill.engine.store.artifacts import Store
from potstill.engine.store.disk import writing
from potstill.engine.store.key_locks import try_lock
from potstill.engine.store.manifests import read_manifest
from potstill.engine.store.pins import Pins, all_pins, collecting
from potstill.engine.store.run_records import Entry, Origin

_KEY = re.compile(f"[0-9a-f]{{{KEY_LENGTH}}}")
"""How keys are written; other namespaces of the journal belong to the whole store."""
_REMOVED = "removed-"
"""How folders begin that are about to be deleted."""


@dataclass(frozen=True)
class Item:
    """Something that no remembered run uses."""

    key: str
    """Its key."""
    name: str
    """Name of the step that made it, or empty if that is not known."""
    size: int
    """Bytes."""
    why: str = ""
    """Why it is deleted only on consent; empty if it is superseded."""


@dataclass(frozen=True)
class Collected:
    """What a collection deleted, or would delete."""

    removed: list[Item] = field(default_factory=list)
    """Artifacts that were deleted."""
    doubtful: list[Item] = field(default_factory=list)
    """Artifacts and unfinished work that were kept for want of consent."""
    problems: list[str] = field(default_factory=list)
    """Why nothing could be deleted."""
    size: int = 0
    """Bytes that were freed."""

    def as_json(self) -> dict[str, Any]:
        """Return it as `--json` prints it."""
        return {
            "removed": [item.key for item in self.removed],
            "bytes": self.size,
            "kept": [asdict(item) for item in self.doubtful],
            "problems": self.problems,
        }


def collect(store: Store, *, consent: bool = False, dry_run: bool = False) -> Collected:
    """Delete artifacts, work and journalled rows that no run uses; what is doubtful only on `consent`.

    Teachers' answers are kept: they were paid for, and any later run may use them. Runs that go on lose nothing, on
    this machine or on another.
    """
    if not store.root.is_dir():
        return Collected()
    with writing(store.root), collecting(store.root) as now:
        usage = _usage(store, all_pins(store.root, now))
        if usage.problems:
            return Collected(problems=usage.problems)
        superseded, doubtful = _unneeded(store, usage)
        chosen = superseded + (doubtful if consent else [])
        spared = [] if consent else doubtful
        if not dry_run:
            _move_away(store, [item.key for item in chosen], _leftovers(store, usage))
            _drop_rows(store, usage, consent=consent, taken={item.key for item in chosen})
            _drop_locks(store, usage)
    if not dry_run:
        # outside of the lock: what was renamed belongs to no run any more, and deleting may take minutes
        _delete(store)
    artifacts = [item for item in chosen if item.name]
    return Collected(artifacts, spared, [], sum(item.size for item in chosen))


def described(collected: Collected, *, dry_run: bool) -> list[str]:
    """Return lines that say what was deleted, or would be, and what was kept for which reason."""
    lines = [f"error: {problem}" for problem in collected.problems]
    lines += [f"  {item.key}  {item.size / 1e6:10,.2f} MB  {item.name}" for item in collected.removed if dry_run]
    done = "would be removed" if dry_run else "removed"
    lines.append(f"{len(collected.removed)} artifacts {done}, {collected.size / 1e6:,.1f} MB freed")
    if collected.doubtful:
        size = sum(item.size for item in collected.doubtful)
        lines.append(f"{len(collected.doubtful)} more ({size / 1e6:,.1f} MB) were kept; --yes deletes them too:")
    lines += [
        f"  {item.key}  {item.size / 1e6:10,.2f} MB  {item.name or '(work)'}: {item.why}" for item in collected.doubtful
    ]
    return lines


@dataclass(frozen=True)
class _Usage:
    """What uses the keys of a store."""

    used: frozenset[str]
    """Keys that remembered or running runs use."""
    pinned: frozenset[str]
    """Those of running runs among them."""
    claimed: dict[str, str]
    """By key, who used it that is no longer remembered for good: a run that did not finish, another machine."""
    steps: dict[Origin, dict[str, str]]
    """By origin, the key of each step in its last run."""
    problems: list[str]
    """Records that can't be read."""


def _usage(store: Store, pins: list[Pins]) -> _Usage:
    """Return what uses the keys of the store."""
    entries, damage = store.runs.entries()
    unreadable = [*damage, *(str(one.path) for one in pins if one.damaged)]
    claimed: dict[str, str] = {}
    for one in pins:
        if not one.alive:
            claimed |= dict.fromkeys(one.keys, f"a run of {one.origin} that did not finish used it")
    steps: dict[Origin, dict[str, str]] = {}
    remembered = _remembered(entries, store.root)
    for entry in entries:
        steps.setdefault(entry.origin, {})[entry.step] = entry.key
        if entry.origin not in remembered:
            claimed[entry.key] = (
                f"{entry.origin}, which is gone or was run elsewhere since, used it on {entry.origin.host}"
            )
    pinned = frozenset(key for one in pins if one.alive for key in one.keys)
    used = frozenset(entry.key for entry in entries if entry.origin in remembered)
    problems = [
        f"{place} can't be read: nothing is deleted, for it may have named any result. Delete that file if nothing "
        "that its pipelines made is needed"
        for place in unreadable
    ]
    return _Usage(used | pinned, pinned, claimed, steps, problems)


def _remembered(entries: Iterable[Entry], root: Path) -> set[Origin]:
    """Return whose last runs keep their results: for each file that is still there, the machine that ran it last.

    A pipeline that an earlier version recorded without a file keeps its results until a file of that name is recorded.
    """
    latest: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        place = (entry.origin.pipeline, entry.origin.file)
        if place not in latest or latest[place].time <= entry.time:
            latest[place] = entry
    newer = {pipeline for pipeline, file in latest if file}
    origins = {entry.origin for entry in latest.values()}
    return {one for one in origins if (not _is_gone(one, root) if one.file else one.pipeline not in newer)}


def _is_gone(origin: Origin, root: Path) -> bool:
    """Return whether a pipeline's file was on this machine and is no longer there."""
    in_a_file = not Path(origin.file).name.startswith("<")
    return in_a_file and origin.host == socket.gethostname() and not (root.resolve().parent / origin.file).exists()


def _unneeded(store: Store, usage: _Usage) -> tuple[list[Item], list[Item]]:
    """Return what is superseded and what is doubtful."""
    superseded: list[Item] = []
    doubtful: list[Item] = []
    for key, paths in sorted(_unused(store, usage).items()):
        lock = try_lock(store.root, key)
        if lock is None:
            continue  # an earlier version's run, which pins nothing, makes it
        # given back at once: a new run pins the key before it takes the lock, and waits there until this is over
        lock.release()
        item = _item(store, usage, key, sum(_size(path) for path in paths))
        (doubtful if item.why else superseded).append(item)
    return superseded, doubtful


def _unused(store: Store, usage: _Usage) -> dict[str, list[Path]]:
    """Return the artifacts and work that nothing uses, by key."""
    unused: dict[str, list[Path]] = {}
    for path in [*_inside(store.root / "artifacts"), *_inside(store.root / "work"), *_inside(store.root / "strays")]:
        key = path.name[:KEY_LENGTH] if _KEY.match(path.name) else path.name
        if key not in usage.used and not path.name.startswith((_REMOVED, "replaced-")):
            unused.setdefault(key, []).append(path)
    return unused


def _item(store: Store, usage: _Usage, key: str, size: int) -> Item:
    """Describe what is stored under an unused key."""
    try:
        manifest = read_manifest(store.root / "artifacts" / key)
        name, origin = str(manifest["name"]), _origin(manifest)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        damaged = (store.root / "artifacts" / key).is_dir()
        why = "its manifest can't be read" if damaged else "work of a run that did not finish"
        return Item(key, "?" if damaged else "", size, usage.claimed.get(key, why))
    if key in usage.claimed:
        return Item(key, name, size, usage.claimed[key])
    if not origin.file:
        return Item(key, name, size, f"an earlier version made it for {origin}, without a note of the file")
    now = usage.steps.get(origin, {}).get(name)
    if now is None:
        return Item(key, name, size, f"{origin} made it on {origin.host}, and its last run has no step of that name")
    return Item(key, name, size)


def _origin(manifest: dict[str, object]) -> Origin:
    """Return whose run made an artifact."""
    host = manifest["host"]
    name = str(host.get("name", "")) if isinstance(host, dict) else ""
    return Origin(str(manifest["pipeline"]), str(manifest.get("file", "")), name)


def _leftovers(store: Store, usage: _Usage) -> list[Path]:
    """Return the work of used keys whose artifact is whole: a kill came between publishing it and removing the work."""
    leftovers = []
    for path in _inside(store.root / "work"):
        key = path.name[:KEY_LENGTH]
        if key in usage.used - usage.pinned and (artifact := store.lookup(key).artifact) is not None:
            lock = None if artifact.manifest["counts"]["retryable"] else try_lock(store.root, key)
            if lock is not None:
                lock.release()
                leftovers.append(path)
    return leftovers


def _move_away(store: Store, keys: list[str], leftovers: list[Path]) -> None:
    """Take what will be deleted out of sight by renaming it, which no reader sees half done."""
    (store.root / "work").mkdir(exist_ok=True)
    mark = f"{_REMOVED}{time.time_ns()}"
    for number, key in enumerate(keys):
        for folder in ("artifacts", "work", "strays"):
            for path in [store.root / folder / key, *(store.root / folder).glob(f"{key}.*")]:
                with contextlib.suppress(FileNotFoundError):
                    path.rename(store.root / "work" / f"{mark}-{number}-{folder}-{path.name}")
    for path in leftovers:
        with contextlib.suppress(FileNotFoundError):
            path.rename(store.root / "work" / f"{mark}-{path.name}")


def _drop_rows(store: Store, usage: _Usage, *, consent: bool, taken: set[str]) -> None:
    """Forget the finished rows of what was taken, and on consent of what no run uses."""
    for namespace in store.journal.namespaces():
        if _KEY.fullmatch(namespace) and namespace not in usage.used and (consent or namespace in taken):
            store.journal.drop(namespace)
    store.journal.close()


def _drop_locks(store: Store, usage: _Usage) -> None:
    """Remove the lock files of keys that nothing uses."""
    for path in _inside(store.root / "locks"):
        lock = try_lock(store.root, path.name) if path.name not in usage.used else None
        if lock is not None:
            # while it is held: `try_lock` finds that its file is no longer the one at the path
            path.unlink(missing_ok=True)
            lock.release()


def _delete(store: Store) -> None:
    """Delete what was taken out of sight, by this collection or by one that was killed, and what a kill left behind."""
    for path in _inside(store.root / "work"):
        if path.name.startswith((_REMOVED, "replaced-")):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() and not path.is_symlink() else path.unlink(True)


def _size(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder; what goes meanwhile counts for nothing."""
    total = 0
    for file in walk(path) if path.is_dir() else [path]:
        with contextlib.suppress(FileNotFoundError):
            total += file.stat().st_size
    return total


def _inside(folder: Path) -> Iterator[Path]:
    """Yield what is in a folder, sorted; nothing if there is none."""
    with contextlib.suppress(FileNotFoundError):
        yield from sorted(folder.iterdir())
