"""A step's log: what it logs and what its process prints, kept in its artifact."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MOST_PRINTED = 10_000_000
"""Bytes that a log keeps of what a step's process printed: half from the beginning, half from the end."""


def printed(store: Path, key: str) -> Path:
    """Return the file into which a child process prints while it makes `key`."""
    return store / "work" / f"{key}.output"


def keep_printed(store: Path, key: str) -> None:
    """Move what a child process printed to the end of its step's log; a disk that is full loses it."""
    output = printed(store, key)
    with contextlib.suppress(OSError):
        if not output.is_file():
            return  # a light step prints where the run does
        log = store / "work" / key / "payload" / "log.txt"
        if log.is_file():
            with log.open("a", encoding="utf-8") as file, output.open("rb") as text:
                for part in _parts(text, output.stat().st_size):
                    file.write(part.decode("utf-8", "replace"))
            os.truncate(output, 0)


def last_printed(output: Path, lines: int) -> list[str]:
    """Return the last lines of what a child process printed, without reading all of it."""
    try:
        with output.open("rb") as file:
            file.seek(max(0, output.stat().st_size - 100_000))
            return file.read().decode("utf-8", "replace").strip().splitlines()[-lines:]
    except OSError:
        return []


def _parts(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield what a log keeps of a file of `size` bytes."""
    if size <= MOST_PRINTED:
        yield file.read(size)
        return
    yield file.read(MOST_PRINTED // 2)
    yield f"\n[... {size - MOST_PRINTED:,} bytes left out ...]\n".encode()
    file.seek(size - MOST_PRINTED // 2)
    yield file.read(MOST_PRINTED // 2)


class _LogFile(logging.FileHandler):
    """A log file that never fails its step: where nothing can be written, lines are lost."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Drop the record."""

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            super().close()


def log_to(logger: logging.Logger, path: Path) -> logging.Handler:
    """Send the step's log to a file that becomes part of its artifact."""
    handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.level = logging.INFO  # of a new logger; setLevel would clear what all loggers have cached
    logger.propagate = False
    logger.addHandler(handler)
    return handler
