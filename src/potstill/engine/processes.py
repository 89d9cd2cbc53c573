"""Processes known beyond their number: one that took over a dead one's number is not mistaken for it (Linux)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

POLL_SECONDS = 0.05
"""Seconds between checks of whether a process group has ended."""


def die_with_parent(parent: int) -> None:
    """Ask Linux to kill this process when its `parent` is gone, even by SIGKILL."""
    import ctypes

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # 1 is PR_SET_PDEATHSIG
    # the parent may have died before that call
    if os.getppid() != parent:
        os._exit(1)


@dataclass(frozen=True)
class Process:
    """One process, for as long as it lives."""

    pid: int
    """Its number."""
    started: str
    """The system's boot, the process namespace and the clock tick at which it started."""

    @classmethod
    def this(cls) -> Process:
        """Return the running process."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> Process:
        """Return the process that has the number `pid` now; one that there is none of is never alive."""
        status = _status(pid)
        return cls(pid, f"{_world()}:{status.started}" if status else "")

    def alive(self) -> bool:
        """Return whether it still runs; a zombie does not."""
        status = _status(self.pid)
        return status is not None and status.state not in "ZX" and self.started == f"{_world()}:{status.started}"

    def replaced(self) -> bool:
        """Return whether its number belongs to another process now."""
        status = _status(self.pid)
        return status is not None and self.started != f"{_world()}:{status.started}"

    def of_this_machine(self) -> bool:
        """Return whether its number means anything here: same boot, same namespace."""
        return self.started.rpartition(":")[0] == _world()


@dataclass(frozen=True)
class _Status:
    """What `/proc/PID/stat` says."""

    pid: int
    state: str
    group: int
    started: str


def run_name() -> str:
    """Return a name for the run of this process, which says whether the run goes on, on any machine."""
    here = Process.this()
    world, _, tick = here.started.rpartition(":")
    return f"{here.pid}-{_mark(world)}-{tick}-{secrets.token_hex(4)}"


def _mark(world: str) -> str:
    """Return a short name for the boot and the process namespace that process numbers are counted in."""
    return hashlib.blake2b(world.encode(), digest_size=6).hexdigest()


def run_goes_on(run: str) -> bool | None:
    """Return whether the run of a name goes on, or None if that can't be known, as on another machine."""
    pid, mark, tick, *_ = [*run.split("-"), "", ""]
    world = Process.this().started.rpartition(":")[0]
    if mark != _mark(world) or not pid.isdecimal():
        return None
    return Process(int(pid), f"{world}:{tick}").alive()


def group_members(group: int) -> list[int]:
    """Return the living processes of a process group."""
    statuses = [_status(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [status.pid for status in statuses if status and status.group == group and status.state not in "ZX"]


def end_group(group: int, grace: float) -> None:
    """Ask a process group to end, and kill what is left of it after `grace` seconds; return when all are gone."""
    # a killed process may sit in the kernel for a while, as in a driver
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, grace + 5)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
        deadline = time.monotonic() + seconds
        while group_members(group):
            if time.monotonic() > deadline:
                break
            time.sleep(POLL_SECONDS)
        else:
            return


def _status(pid: int) -> _Status | None:
    """Read the state of a process, or None where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may hold anything
    # fields 3, 5 and 22 of proc(5): the state, the group, and the start in clock ticks
    return _Status(pid, fields[0], int(fields[2]), fields[19])


def _world() -> str:
    """Return what process numbers are counted in: this boot of this machine, and the namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return "unknown"
