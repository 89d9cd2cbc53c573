"""A step's log: what it logs and what its process prints, kept in its artifact."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path


def printed(store: Path, key: str) -> Path:
    """Return the file into which a child process prints while it makes `key`."""
    return store / "work" / f"{key}.output"


def keep_printed(store: Path, key: str) -> None:
    """Move what a child process printed to the end of its step's log; a disk that is full loses it."""
    output, log = printed(store, key), store / "work" / key / "payload" / "log.txt"
    with contextlib.suppress(OSError):
        if output.is_file() and log.is_file():
            with log.open("a", encoding="utf-8") as file:
                file.write(output.read_text(encoding="utf-8", errors="replace"))
            os.truncate(output, 0)


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
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    return handler
