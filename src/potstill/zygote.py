"""A warm process that forks one child per heavy step, so that torch and vLLM are imported once and memory is freed.

The parent writes requests to a socket; the zygote imports what the step wants preloaded, forks, and passes the child's
events back. It computes nothing itself, so that a fork is safe. When the parent dies, even by SIGKILL, the socket
closes, and the zygote ends its whole process group.

Messages are length-prefixed msgpack: `{"id", "spec", "preload", "path"}` one way, `{"id", "event" | "exit"}` the other.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack

from potstill.execute import execute

HEADER = struct.Struct("<I")
"""A message starts with its length."""


def send(handle: int, message: Any) -> None:
    """Write one message to a file descriptor, whole."""
    data = msgpack.packb(message)
    view = memoryview(HEADER.pack(len(data)) + data)
    while view:
        view = view[os.write(handle, view) :]


def receive(handle: int) -> Any:
    """Read one message from a file descriptor; None at its end."""
    header = _read(handle, HEADER.size)
    if header is None:
        return None
    body = _read(handle, HEADER.unpack(header)[0])
    return None if body is None else msgpack.unpackb(body)


def _read(handle: int, size: int) -> bytes | None:
    """Read exactly `size` bytes, or return None at the end."""
    data = b""
    while len(data) < size:
        part = os.read(handle, size - len(data))
        if not part:
            return None
        data += part
    return data


@dataclass(frozen=True)
class _Child:
    """A running child."""

    number: int
    pid: int
    events: int  # the pipe on which it reports
    exit: int  # becomes readable when it is gone, even if others hold the pipe open


def serve(connection: int) -> None:
    """Fork children on request until the parent's end of `connection` closes, then end the process group."""
    selector = selectors.DefaultSelector()
    selector.register(connection, selectors.EVENT_READ, None)
    while True:
        for ready, _ in selector.select():
            child: _Child | None = ready.data
            if child is None:
                request = receive(connection)
                if request is None:
                    os.killpg(0, signal.SIGKILL)
                _start(selector, request, connection)
            elif ready.fd == child.exit:
                _finish(selector, child, connection)
            elif not _forward(child, connection):
                selector.unregister(child.events)


def _start(selector: selectors.BaseSelector, request: dict[str, Any], connection: int) -> None:
    """Preload and fork a child; a module that can't be imported shows in the child, with the step's own error."""
    sys.path[:] = request["path"]
    for module in request["preload"]:
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        selector.close()
        os.close(connection)
        _child(request, writing)
    os.close(writing)
    started = _Child(request["id"], child, reading, os.pidfd_open(child))
    selector.register(started.events, selectors.EVENT_READ, started)
    selector.register(started.exit, selectors.EVENT_READ, started)


def _forward(child: _Child, connection: int) -> bool:
    """Pass one event of a child on; say whether there was one, or the pipe is closed."""
    event = receive(child.events)
    if event is not None:
        send(connection, {"id": child.number, "event": event})
    return event is not None


def _finish(selector: selectors.BaseSelector, child: _Child, connection: int) -> None:
    """Pass on what a child that is gone still said, and how it ended; what it left behind may hold its pipe open."""
    while select.select([child.events], [], [], 0)[0] and _forward(child, connection):
        pass
    for handle in (child.events, child.exit):
        with contextlib.suppress(KeyError):
            selector.unregister(handle)
        os.close(handle)
    _, status = os.waitpid(child.pid, 0)
    send(connection, {"id": child.number, "exit": os.waitstatus_to_exitcode(status)})


def _child(request: dict[str, Any], events: int) -> None:
    """Run the step and leave, without the zygote's clean-up."""
    code = 1
    try:
        _die_with_parent()
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        import cloudpickle

        spec, fields = cloudpickle.loads(request["spec"])
        _limit_threads(spec.threads)
        outcome = execute(spec, fields, _reporter(events))
        send(
            events,
            {
                "outcome": {
                    "status": outcome.status,
                    "seconds": outcome.seconds,
                    "error": outcome.error,
                    "bad_request": outcome.bad_request,
                    "warnings": list(outcome.warnings),
                    "changed_inputs": list(outcome.changed_inputs),
                }
            },
        )
        code = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _reporter(events: int) -> Callable[..., None]:
    """Return a progress function that sends to the parent, at most ten times a second."""
    import time

    last = 0.0

    def report(done: int, total: int | None = None, *, tokens: int = 0, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 0.1 or done == total:
            last = now
            send(events, {"progress": [done, total, tokens, note]})

    return report


def _limit_threads(threads: int) -> None:
    """Keep the step to its share of the cores, whichever library counts them."""
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)


def _die_with_parent() -> None:
    """Ask Linux to kill this process when the zygote dies."""
    import ctypes

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve(socket.socket(fileno=int(sys.argv[1])).detach())
