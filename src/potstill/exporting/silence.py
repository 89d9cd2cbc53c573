"""Converters that print everything they do, kept silent."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(*loggers: str) -> Iterator[io.StringIO]:
    """Keep what is printed, and what `loggers` say, away from the terminal; yields what was printed.

    What goes wrong is raised, or shows when the export is asked.
    """
    talkers, printed = [logging.getLogger(name) for name in loggers], io.StringIO()
    levels = [talker.level for talker in talkers]
    for talker in talkers:
        talker.setLevel(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield printed
    finally:
        for talker, level in zip(talkers, levels, strict=True):
            talker.setLevel(level)
