"""What is written down of a running service, and how its processes are ended: STORE/services/NAME.RUN.json."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from potstill.engine.processes import Process, end_group, run_goes_on
from potstill.engine.store.disk import write_json

GRACE_SECONDS = 10.0
"""Seconds that a service may take to end before it is killed."""
POLL_SECONDS = 0.1
"""Seconds between checks of whether a service has started or ended."""
LAST_LINES = 15
"""Lines of a dead service's output that its error shows."""
LAST_CAUSES = 5
"""Lines before those that name an error: the cause is often far up."""
CAUSE = re.compile(r"\b\w*(Error|Exception): ")
"""What names an error."""
FORGOTTEN_SECONDS = 30 * 24 * 3600.0
"""Age from which files are removed of runs of which this machine can't tell whether they go on."""


@dataclass(frozen=True)
class State:
    """What is known of a service that runs, or did."""

    name: str
    """Its name."""
    server: Process
    """The leader of its process group."""
    keeper: Process
    """The process that ends it."""
    owner: Process
    """The process whose run it belongs to."""
    port: int
    """Where it listens."""
    exit: int | None = None
    """Its exit code, once it has ended by itself."""

    def is_alive(self) -> bool:
        """Return whether the server runs."""
        return self.exit is None and self.server.alive()


def write_state(path: Path, state: State) -> None:
    """Write a state file, with a checksum."""
    plain = asdict(state)
    write_json(path, {**plain, "sum": _checksum(plain)})


def read_state(path: Path) -> State | None:
    """Return the state in a file, or None where there is none that can be believed."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain.pop("sum", None) not in (None, _checksum(plain)):  # earlier versions wrote none
            return None
        processes = {part: _process(plain[part]) for part in ("server", "keeper", "owner")}
        code = plain.get("exit")
        return State(str(plain["name"]), **processes, port=int(plain["port"]), exit=None if code is None else int(code))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _process(plain: Mapping[str, Any]) -> Process:
    """Return the process that a state names.

    Raises:
        ValueError: it names none.
    """
    if type(plain["pid"]) is not int or not isinstance(plain["started"], str) or plain["pid"] <= 0:
        raise ValueError("no process")
    return Process(plain["pid"], plain["started"])


def _checksum(plain: Mapping[str, Any]) -> str:
    """Return what changes when a state does."""
    return hashlib.blake2b(json.dumps(plain, sort_keys=True).encode(), digest_size=8).hexdigest()


def stop(path: Path, *, keep_log: bool = False) -> None:
    """End the service of a state file, and its keeper; return when they are gone."""
    state = read_state(path)
    if state is not None:
        if state.keeper.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(state.keeper.pid, signal.SIGTERM)
            deadline = time.monotonic() + 3 * GRACE_SECONDS
            while state.keeper.alive() and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS / 2)
        _end(state)
    path.unlink(missing_ok=True)
    if not keep_log:
        path.with_suffix(".log").unlink(missing_ok=True)


def sweep(root: Path) -> list[str]:
    """End what runs of this store that are gone have left behind; return the names of those services.

    What belongs to another machine or container is left to the next run there; so are files whose run can't be
    identified any more, until they are old.
    """
    stopped = []
    for path in (root / "services").glob("*.json"):
        state = read_state(path)
        if state is None or not state.owner.of_this_machine() or state.owner.alive():
            continue
        with contextlib.suppress(OSError):
            stop(path)
            stopped.append(state.name)
    for path in (root / "services").glob("*.*"):
        with contextlib.suppress(OSError):
            if _is_left(path):
                path.unlink()
    return stopped


def _is_left(path: Path) -> bool:
    """Return whether a file beside the states, or one that is no state any more, was left by a run that is over."""
    if path.suffix == ".json":
        goes_on = None if read_state(path) is None else True
    else:
        goes_on = run_goes_on(path.suffixes[-2].removeprefix(".") if len(path.suffixes) > 1 else "")
    old = time.time() - path.stat().st_mtime > FORGOTTEN_SECONDS
    return old if goes_on is None else not goes_on


def _end(state: State) -> None:
    """End the server's group: its leader, or what the leader left behind."""
    # while a member lives, the system gives the group's number to no other process
    if state.server.of_this_machine() and not state.server.replaced():
        end_group(state.server.pid, GRACE_SECONDS)


def in_words(code: int) -> str:
    """Return an exit code in words."""
    signals = {number.value: number.name for number in signal.Signals}
    return signals.get(-code, f"signal {-code}") if code < 0 else f"exit code {code}"


def last_lines(log: Path, secret: str) -> str:
    """Return the last lines of a log, and the errors before them, without the secret."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")[-200_000:]
    except OSError:
        return "  (nothing)"
    lines = text.replace(secret, "***").strip().splitlines()
    causes = [line for line in lines[:-LAST_LINES] if CAUSE.search(line)][-LAST_CAUSES:]
    return "\n".join(f"  {line[:400]}" for line in [*causes, *lines[-LAST_LINES:]])
