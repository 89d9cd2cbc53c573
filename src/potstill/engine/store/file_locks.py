"""Locks of open files, which the operating system frees when their owner dies."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path
from typing import IO, Any

from potstill.errors import StoreError

ALONE = fcntl.LOCK_EX
"""Nobody else may hold the lock."""
TOGETHER = fcntl.LOCK_SH
"""Others may hold the lock in this way, too."""
AT_ONCE = fcntl.LOCK_NB
"""Refuses with BlockingIOError rather than wait."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
"""Errors of file systems without locks, such as some network mounts."""


def lock_file(file: IO[Any], path: Path, how: int) -> None:
    """Lock `file`, which is open at `path`, until it is closed.

    Raises:
        BlockingIOError: another process holds the lock, and `how` says not to wait.
        StoreError: there are no locks on this file system.
    """
    try:
        fcntl.flock(file.fileno(), how)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise StoreError(
            f"the file system of {path} has no file locks ({error}), and without them two runs could spoil each "
            "other's results: choose a store on another disk with --store or POTSTILL_STORE"
        ) from error


def unlock_file(file: IO[Any]) -> None:
    """Free the lock of a file that stays open."""
    fcntl.flock(file.fileno(), fcntl.LOCK_UN)
