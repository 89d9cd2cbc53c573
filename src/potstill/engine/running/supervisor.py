"""Supervises a service: starts it in its own session, and stops it on request or when its owner exits.

`python -m potstill.engine.running.supervisor STATE.json`, with the order (command, environment, owner, port, seconds to
stop in) as JSON on standard input; the run's secret is in the environment. It writes the state file, goes into the
background, and waits for one of: the owner's end, the service's end, SIGTERM.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from potstill.engine.processes import Process, end_group
from potstill.engine.running.service_state import State, write_state


def main(path: Path) -> int:
    """Start the service, and leave it to a background process to keep; return when it has been started."""
    order = json.load(sys.stdin)
    reading, writing = os.pipe()
    # the caller waits for this process alone; the child becomes init's and outlives the step
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()  # Ctrl-C at the terminal is for the owner alone
        code = 1
        try:
            code = _keep(path, order, writing)
        except OSError as error:
            print(error, file=sys.stderr, flush=True)
        finally:
            os._exit(code)
    os.close(writing)
    return 0 if os.read(reading, 1) else 1


def _keep(path: Path, order: Mapping[str, Any], started: int) -> int:
    """Start the service, say so, and keep it."""
    owner = Process(**order["owner"])
    waking, wake = os.pipe()
    # set_wakeup_fd takes only a descriptor that does not block
    os.set_blocking(wake, False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # without a handler in Python, nothing is written to the wake-up descriptor
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(wake)
    try:
        owner_gone = os.pidfd_open(owner.pid)
    except ProcessLookupError:
        return 0
    # asked after the open: from there on the descriptor means one process, whatever becomes of its number
    if not owner.alive():
        return 0
    server = _launch(path, order)
    state = State(order["name"], Process.of(server.pid), Process.this(), owner, order["port"])
    # before the answer: the caller reads the file as soon as it has one
    write_state(path, state)
    os.write(started, b"1")
    os.close(started)
    _leave_terminal()
    server_gone = os.pidfd_open(server.pid)
    ready, _, _ = select.select([waking, owner_gone, server_gone], [], [])
    # only a stop on request is gentle: without an owner nobody needs the answers
    end_group(server.pid, order["stop_seconds"] if waking in ready else 0.0)
    code = server.wait()
    if server_gone in ready and path.exists():
        write_state(path, replace(state, exit=code))
    else:
        path.unlink(missing_ok=True)
    if owner_gone in ready:
        for suffix in (".log", ".lock"):
            path.with_suffix(suffix).unlink(missing_ok=True)
    return 0


def _launch(path: Path, order: Mapping[str, Any]) -> subprocess.Popen[bytes]:
    """Start the service as the leader of its own process group, printing into its log."""
    with path.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(
            order["command"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **order["environment"]},
            preexec_fn=_die_with_parent,
        )


def _die_with_parent() -> None:
    """Ask Linux to kill the service when the keeper is killed."""
    # PR_SET_PDEATHSIG; a SIGKILL leaves the keeper no time to end the service itself
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _leave_terminal() -> None:
    """Close the standard streams, which a caller may read to their end."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(nothing, handle)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
