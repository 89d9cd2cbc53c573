"""The socket of a local server: this machine's own address and no other."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import socket
from collections.abc import Iterator, Sequence

from potstill.errors import MissingExtra, RequestError

HOST = "127.0.0.1"
"""The only address that is served."""
PORT = 8765
"""The first port that is tried."""
TRIES = 20
"""Ports that are tried where none is given."""


def need_packages(command: str, packages: Sequence[str]) -> None:
    """Make sure that what a command's server imports is installed.

    Raises:
        MissingExtra: a package is not; names it and the pip line.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(command, package, "ui")


@contextlib.contextmanager
def bound(port: int | None) -> Iterator[socket.socket]:
    """Yield a socket of this machine: at `port`, or at the first free one from `PORT` on.

    Raises:
        RequestError: it can't be had.
    """
    ports = range(PORT, PORT + TRIES) if port is None else [port]
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for one in ports:
            try:
                listening.bind((HOST, one))
                listening.listen(128)
            except (OSError, OverflowError) as error:
                if getattr(error, "errno", None) != errno.EADDRINUSE or one == ports[-1]:
                    text = f"port {one} of {HOST} can't be served ({error}): give another with --port, 0 for a free one"
                    raise RequestError(text) from error
            else:
                break
        yield listening
