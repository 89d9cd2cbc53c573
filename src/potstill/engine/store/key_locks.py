"""One writer a key: a file lock that the operating system frees when its owner dies."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from potstill.engine.store.disk import writing
from potstill.engine.store.file_locks import ALONE, AT_ONCE, lock_file


@dataclass(frozen=True)
class Lock:
    """The right to make one key."""

    file: IO[str]
    """The open file that carries the lock."""

    def release(self) -> None:
        """Give the lock back."""
        self.file.close()


def try_lock(root: Path, key: str) -> Lock | None:
    """Take the lock of `key` in the store at `root`, or return None while a living process holds it.

    Raises:
        StoreError: the store can't be written.
    """
    with writing(root):
        folder = root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        # not "w": who holds the lock stays written there until it is ours
        file = (folder / key).open("a+")
        try:
            lock_file(file, folder / key, ALONE | AT_ONCE)
        except BlockingIOError:
            file.close()
            return None
        if not _is_at(file, folder / key):
            file.close()
            # `gc` has deleted that file between opening and locking it; another process may hold the one that is there
            # now
            return try_lock(root, key)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
    return Lock(file)


def _is_at(file: IO[str], path: Path) -> bool:
    """Return whether an open file is the one at `path`: `gc` may have deleted it before it was locked."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def owner(root: Path, key: str) -> str:
    """Return who holds the lock of `key`, in words."""
    try:
        return (root / "locks" / key).read_text() or "another process"
    except OSError:
        return "another process"
