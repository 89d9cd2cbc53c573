"""Lines for people: what comes from data, names and servers can't act on the terminal, and a reader may leave."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from typing import IO

from potstill.text.inert import ACTING, written_out

_DRAWING = re.compile(rf"(\x1b\[[0-9;]*m|\r)|{ACTING.pattern}")
"""What acts; in the group, what only colours a text or goes back to the start of a line, as progress bars do."""


def plain(text: str) -> str:
    r"""Return a text in which characters that act on a terminal are written out, as in `\x1b`."""
    return written_out(text)


def say(text: str, stream: IO[str] | None = None, *, end: str = "\n") -> None:
    """Print a text, written out where it would act on the terminal; a stream that was closed is ignored."""
    to: IO[str] = stream or sys.stdout
    line = plain(text)
    try:
        print(line, file=to, end=end, flush=True)
    except UnicodeEncodeError:
        encoding = getattr(to, "encoding", None) or "ascii"
        say(line.encode(encoding, "backslashreplace").decode(encoding), to, end=end)
    except (OSError, ValueError):
        silence(to)


class PlainStream(io.TextIOWrapper):
    """A text stream to a terminal that writes out what would act on it, but for colours and progress bars."""

    def write(self, text: str) -> int:
        """Write a text."""
        super().write(_DRAWING.sub(lambda match: match[1] or plain(match[0]), text))
        return len(text)


def tame() -> None:
    """Let nothing that a step prints act on the terminal: it may be a row, or an answer."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and not isinstance(stream, PlainStream) and _is_terminal(stream):
            settings = (stream.encoding, stream.errors, None, stream.line_buffering, stream.write_through)
            setattr(sys, name, PlainStream(stream.buffer, *settings))


def _is_terminal(stream: IO[str]) -> bool:
    """Return whether a stream that may be closed leads to a terminal."""
    try:
        return stream.isatty()
    except ValueError:
        return False


def silence(stream: IO[str]) -> None:
    """Send what is still written to a stream that can't be written to nowhere, also what Python writes at its end."""
    with contextlib.suppress(OSError, ValueError):
        handle = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, handle)
        os.close(nowhere)
