"""Messages between processes: length-prefixed msgpack on a file descriptor."""

from __future__ import annotations

import os
import struct
from typing import Any

import msgpack

HEADER = struct.Struct("<I")
"""A message starts with its length."""


def send(handle: int, message: object) -> None:
    """Write one message to a file descriptor, whole."""
    # surrogatepass: paths that are no UTF-8 hold lone surrogates
    data = msgpack.packb(message, unicode_errors="surrogatepass")
    view = memoryview(HEADER.pack(len(data)) + data)
    # a pipe takes as much of a large message as fits into it
    while view:
        view = view[os.write(handle, view) :]


def receive(handle: int) -> Any:
    """Read one message from a file descriptor; None at its end."""
    header = _read(handle, HEADER.size)
    if header is None:
        return None
    body = _read(handle, HEADER.unpack(header)[0])
    return None if body is None else msgpack.unpackb(body, unicode_errors="surrogatepass")


def _read(handle: int, size: int) -> bytes | None:
    """Read exactly `size` bytes, or return None at the end."""
    data = b""
    while len(data) < size:
        part = os.read(handle, size - len(data))
        if not part:
            return None
        data += part
    return data
