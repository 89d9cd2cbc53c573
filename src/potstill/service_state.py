"""What is written down of a running service, and how its processes are ended: STORE/services/NAME.RUN.json."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from potstill.processes import Process, end_group

GRACE_SECONDS = 10.0
"""How long a service may take to leave before it is killed."""
POLL_SECONDS = 0.1
"""How often what is to come or go is looked at."""
LAST_LINES = 15
"""Lines of a dead service's output that its error shows."""
LAST_CAUSES = 5
"""Lines before those that name an error: the cause is often far up."""
CAUSE = re.compile(r"\b\w*(Error|Exception): ")
"""What names an error."""
BESIDE_STATE = (".log", ".lock", ".budget")
"""Endings of other files that a run leaves when it is killed."""


def stop(path: Path, *, keep_log: bool = False) -> None:
    """End the service of a state file, and its keeper; return when they are gone."""
    state = read_state(path)
    if state is not None:
        keeper = Process(**state["keeper"])
        if keeper.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(keeper.pid, signal.SIGTERM)
            deadline = time.monotonic() + 3 * GRACE_SECONDS
            while keeper.alive() and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS / 2)
        _end(state)
    path.unlink(missing_ok=True)
    if not keep_log:
        path.with_suffix(".log").unlink(missing_ok=True)


def sweep(root: Path) -> list[str]:
    """End what runs of this store that are gone have left behind; return the names of those services."""
    found = []
    for path in (root / "services").glob("*.json"):
        state = read_state(path)
        if state is None or not Process(**state["owner"]).of_this_machine() or Process(**state["owner"]).alive():
            continue
        with contextlib.suppress(OSError):
            stop(path)
            found.append(str(state["name"]))
    for path in (root / "services").glob("*.*.*"):
        run = path.suffixes[-2].removeprefix(".")  # begins with the number of the run's process
        if path.suffix in BESIDE_STATE and not Path(f"/proc/{run.partition('-')[0]}").exists():
            with contextlib.suppress(OSError):
                path.unlink()
    return found


def _end(state: Mapping[str, Any]) -> None:
    """End the server's group: its leader, or what the leader left behind."""
    server = Process(**state["server"])
    # while a member lives, the system gives the group's number to no other process
    if server.of_this_machine() and not server.replaced():
        end_group(server.pid, GRACE_SECONDS)


def is_alive(state: Mapping[str, Any]) -> bool:
    """Say whether the server of a state runs."""
    return "exit" not in state and Process(**state["server"]).alive()


def read_state(path: Path) -> dict[str, Any] | None:
    """Return the state in a file, or None where there is none that can be read."""
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state


def in_words(code: int) -> str:
    """Return an exit code in words."""
    known = {number.value: number.name for number in signal.Signals}
    return known.get(-code, f"signal {-code}") if code < 0 else f"exit code {code}"


def last_lines(log: Path, secret: str) -> str:
    """Return the last lines of a log, and the errors before them, without the secret."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")[-200_000:]
    except OSError:
        return "  (nothing)"
    lines = text.replace(secret, "***").strip().splitlines()
    causes = [line for line in lines[:-LAST_LINES] if CAUSE.search(line)][-LAST_CAUSES:]
    return "\n".join(f"  {line[:400]}" for line in [*causes, *lines[-LAST_LINES:]])
