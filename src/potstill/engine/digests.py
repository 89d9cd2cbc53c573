"""Content digests of files and folders.

A digest of a large file is remembered under the file's size, times and inode, so that a 16 GB teacher is hashed once
and not at every plan. The change time is part of that signature: no program can set it back.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

REMEMBERED_SIZE = 64 * 2**20
"""Bytes from which a digest is remembered; smaller files are read each time, which costs 40 ms at most."""
SETTLED_SECONDS = 2.0
"""Age a file must have for its digest to be remembered: a younger one may change again within a clock tick."""


def cache_folder() -> Path:
    """Return where remembered digests are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "potstill" / "digests"


def file_digest(path: Path) -> str:
    """Return the SHA-256 of the file's content, in hex."""
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        if before.st_size < REMEMBERED_SIZE:
            return hashlib.file_digest(file, "sha256").hexdigest()
        signature = [before.st_dev, before.st_ino, before.st_size, before.st_mtime_ns, before.st_ctime_ns]
        # named by the signature: what has changed finds no note, so that no note has to be deleted
        note = cache_folder() / hashlib.sha256(json.dumps(signature).encode()).hexdigest()
        # for `verify`, which doubts the disk: a file may be damaged without a write, and keep its times
        if not os.environ.get("POTSTILL_FORGET_DIGESTS"):
            remembered = _remembered(note)
            if remembered:
                return remembered
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        # a file that was written while it was read has the digest of neither content
        after = os.fstat(file.fileno())
        same = [after.st_dev, after.st_ino, after.st_size, after.st_mtime_ns, after.st_ctime_ns] == signature
        if same and time.time() - before.st_mtime > SETTLED_SECONDS:
            _remember(note, digest)
        return digest


def _remembered(note: Path) -> str:
    """Return the digest in a note, or nothing: a note that was damaged, or belongs to another file, is no note."""
    try:
        digest, _, check = note.read_text(encoding="ascii").partition(" ")
    except (OSError, ValueError):
        return ""
    return digest if check == _check(note, digest) else ""


def _check(note: Path, digest: str) -> str:
    """Return the checksum that a note carries beside its digest."""
    return hashlib.sha256(f"{note.name} {digest}".encode()).hexdigest()[:16]


def _remember(note: Path, digest: str) -> None:
    """Keep a digest; a cache that can't be written only costs time."""
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        partial = note.with_suffix(f".{os.getpid()}")
        partial.write_text(f"{digest} {_check(note, digest)}")
        partial.replace(note)
    except OSError:
        return


def walk(folder: Path) -> Iterator[Path]:
    """Yield all files below `folder`, sorted by relative path; folders behind links are not entered."""
    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def contents(folder: Path) -> dict[str, str]:
    """Return a digest for every file below `folder` by relative path; what stands behind links counts as content.

    A folder that links lead to more than once, such as one that holds a link to itself, is read once: at the other
    places its first path stands for it. A link to nothing counts by the path that it names.
    """
    # a link to a file is a file here, by content; links to folders come after, as they may go round in a circle
    digests = {str(path.relative_to(folder)): file_digest(path) for path in walk(folder)}
    links = sorted(path for path in folder.rglob("*") if path.is_symlink() and not path.is_file())
    if links:
        inside = [folder, *(path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink())]
        _follow(links, folder, digests, {path.resolve(): str(path.relative_to(folder)) for path in inside})
    return digests


def _follow(links: list[Path], folder: Path, digests: dict[str, str], read: dict[Path, str]) -> None:
    """Add what stands behind `links` to `digests`; `read` holds the folders that count already, by their real path."""
    waiting = list(links)
    while waiting:
        path = waiting.pop(0)
        name = str(path.relative_to(folder))
        if path.is_file():
            digests[name] = file_digest(path)
        elif not path.is_dir():
            digests[name] = f"link to {path.readlink()}" if path.is_symlink() else "no file"
        elif path.resolve() in read:
            digests[name] = f"same as {read[path.resolve()]}"
        else:
            read[path.resolve()] = name
            waiting += sorted(path.iterdir())


def combine(digests: Iterable[tuple[str, str]]) -> str:
    """Return the digest of a set of (relative path, file digest) pairs."""
    return hashlib.sha256(json.dumps(sorted(digests)).encode()).hexdigest()


def path_digest(path: Path, skip: Iterable[str] = (), *, listed: bool = False) -> str:
    """Return the digest of a file's content, or of a folder's files by relative path without those named in `skip`.

    With `listed`, what a list of the folder shows beside files counts too.
    """
    if path.is_file():
        return file_digest(path)
    left_out = set(skip)
    entries = {**(_without_content(path) if listed else {}), **contents(path)}
    return combine((name, digest) for name, digest in entries.items() if Path(name).name not in left_out)


def _without_content(folder: Path) -> dict[str, str]:
    """Return what stands below `folder` and holds nothing, by relative path: empty folders, pipes, sockets."""
    entries: dict[str, str] = {}
    for path in folder.rglob("*"):
        if path.is_dir() and not any(path.iterdir()):
            entries[str(path.relative_to(folder))] = "empty folder"
        elif not path.is_dir() and not path.is_file() and not path.is_symlink():
            entries[str(path.relative_to(folder))] = "no file"
    return entries


def no_such_file(path: str | Path) -> str:
    """Return that nothing is at `path`, and where a relative one was looked for."""
    where = "" if Path(path).expanduser().is_absolute() else f" in {Path.cwd()}, the folder that the command runs in"
    return f"no such file: {path}{where}"
