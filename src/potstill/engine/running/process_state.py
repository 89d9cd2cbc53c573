"""What a step can change of its process beside the objects in it: environment, folder, signals, children, files."""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ProcessState:
    """The state of this process at one moment; equal ones make no difference to a step."""

    environment: dict[str, str]
    """Variables."""
    folder: str
    """Working folder."""
    umask: int
    """Rights that new files do not get."""
    signals: tuple[Any, ...]
    """What is done on each signal, what is blocked, and which alarms are set."""
    threads: int
    """Python's threads."""
    has_children: bool
    """Whether processes that it started are left."""
    files: tuple[tuple[int, int], ...]
    """What stands behind standard input, output and error and behind its own pipes."""
    streams: tuple[int, ...]
    """Which objects Python reads, prints and imports through."""
    path: tuple[str, ...]
    """Where modules are looked for."""

    @classmethod
    def of(cls, *handles: int) -> ProcessState:
        """Return the state of this process, which has files of its own behind `handles`."""
        return cls(
            environment=dict(os.environ),
            folder=_folder(),
            umask=_umask(),
            signals=_signals(),
            threads=threading.active_count(),
            has_children=_has_children(),
            files=tuple(_file(handle) for handle in (0, 1, 2, *handles)),
            streams=tuple(map(id, (sys.stdin, sys.stdout, sys.stderr, sys.excepthook, sys.meta_path, sys.gettrace()))),
            path=(*sys.path, str(sys.getrecursionlimit())),
        )


def _folder() -> str:
    """Return the working folder, or nothing where it was deleted."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def _umask() -> int:
    """Return the mask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _signals() -> tuple[Any, ...]:
    """Return what is done on signals."""
    handlers = tuple(signal.getsignal(number) for number in _NUMBERS)
    blocked = tuple(sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())))
    return handlers, blocked, signal.getitimer(signal.ITIMER_REAL) != (0.0, 0.0)


def _has_children() -> bool:
    """Return whether there is a child process, running or not waited for."""
    try:
        # WNOWAIT leaves the exit status to the code that waits for the child
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _file(handle: int) -> tuple[int, int]:
    """Return what a descriptor stands for."""
    try:
        state = os.fstat(handle)
    except OSError:
        return -1, -1
    return state.st_dev, state.st_ino


_NUMBERS = tuple(sorted(signal.valid_signals()))
