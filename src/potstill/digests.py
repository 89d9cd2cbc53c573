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
"""Bytes from which a digest is remembered; smaller files are read anew each time, which costs 40 ms at most."""
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
        note = cache_folder() / hashlib.sha256(json.dumps(signature).encode()).hexdigest()
        if note.is_file() and not os.environ.get("POTSTILL_FORGET_DIGESTS"):
            kept = note.read_text()
            if len(kept) == 64:
                return kept
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        after = os.fstat(file.fileno())
        same = [after.st_dev, after.st_ino, after.st_size, after.st_mtime_ns, after.st_ctime_ns] == signature
        if same and time.time() - before.st_mtime > SETTLED_SECONDS:
            _remember(note, digest)
        return digest


def _remember(note: Path, digest: str) -> None:
    """Keep a digest; a cache that can't be written only costs time."""
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        partial = note.with_suffix(f".{os.getpid()}")
        partial.write_text(digest)
        partial.replace(note)
    except OSError:
        return


def walk(folder: Path) -> Iterator[Path]:
    """Yield all files below `folder`, sorted by relative path."""
    yield from sorted(path for path in folder.rglob("*") if path.is_file())


def combine(digests: Iterable[tuple[str, str]]) -> str:
    """Return the digest of a set of (relative path, file digest) pairs."""
    return hashlib.sha256(json.dumps(sorted(digests)).encode()).hexdigest()


def path_digest(path: Path, skip: Iterable[str] = ()) -> str:
    """Return the digest of a file's content, or of a folder's files by relative path without those named in `skip`."""
    if path.is_file():
        return file_digest(path)
    left_out = set(skip)
    return combine((str(file.relative_to(path)), file_digest(file)) for file in walk(path) if file.name not in left_out)
