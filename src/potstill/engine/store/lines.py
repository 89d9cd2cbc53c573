"""Files of JSON lines that are appended to by several processes: each line carries its length and a checksum.

A line that a kill or a full disk cut short is distinguished from one that was damaged: what was about to be written
counts for nothing, while a damaged line may have held anything.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_HEAD = 16 + 1 + 8 + 1
"""Characters before the JSON: checksum, space, length, space."""


@dataclass(frozen=True)
class Lines:
    """What a file holds."""

    values: list[dict[str, Any]] = field(default_factory=list)
    """The values of its whole lines."""
    damaged: list[int] = field(default_factory=list)
    """Numbers of the lines that were changed after they were written, from 1."""


def line_of(value: Mapping[str, Any]) -> str:
    """Return the line that holds `value`."""
    text = json.dumps(value)
    return f"{_checksum(text)} {len(text):08x} {text}\n"


def append(path: Path, values: Iterable[Mapping[str, Any]]) -> None:
    """Add lines to the file at `path`, which is made if need be."""
    with appended(path) as file:
        write(file, values)


def appended(path: Path) -> io.FileIO:
    """Open the file at `path` for appending, without a buffer."""
    return io.FileIO(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666), "a")


def write(file: io.FileIO, values: Iterable[Mapping[str, Any]]) -> None:
    """Add lines to an open file in one write, after a line break that ends a line that was cut short."""
    # the break comes first: behind a line that a kill cut short, the next one would be read as a part of it
    content = ("\n" + "".join(line_of(value) for value in values)).encode()
    # one write in append mode, so that lines of several processes never mix
    written = file.write(content)
    while written < len(content):
        written += file.write(content[written:])


def read(path: Path) -> Lines:
    """Return what a file holds; nothing if it is not there.

    Lines that are JSON objects without a checksum, as earlier versions wrote them, are believed.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Lines()
    result = Lines()
    for number, raw in enumerate(content.split(b"\n"), 1):
        value = _value(raw)
        if value is not None:
            result.values.append(value)
        elif not _is_cut_short(raw):
            result.damaged.append(number)
    return result


def _value(raw: bytes) -> dict[str, Any] | None:
    """Return the value in a line, or None if it holds none that can be believed."""
    try:
        line = raw.decode()
        # versions before checksums wrote bare JSON
        text = line if line.startswith("{") else line[_HEAD:]
        if not line.startswith("{") and line[:16] != _checksum(text):
            return None
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_cut_short(raw: bytes) -> bool:
    """Return whether a line without a value is empty, or the beginning of one that was never written to its end."""
    if raw.startswith(b"{"):
        return True  # an earlier version's
    head, _, length = raw[: _HEAD - 1].partition(b" ")
    try:
        # the head must be one of ours as far as it goes: zeros, as after a power cut, are damage
        int(head or b"0", 16)
        return len(raw) < _HEAD or len(raw) - _HEAD < int(length, 16)
    except ValueError:
        return False


def _checksum(text: str) -> str:
    """Return what changes when a line's JSON does."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
