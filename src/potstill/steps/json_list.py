"""The items of one JSON list, decoded one by one while the file is read."""

from __future__ import annotations

import codecs
import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from potstill.steps.files import opened
from potstill.steps.schema import Findings

PART_BYTES = 2**20
"""Bytes that are read at a time."""
_SPACE = " \t\r\n"
_LONGEST_TOKEN = 64
"""Text that may be missing behind the last complete token; an error further ahead of the end is real."""


def items(path: Path, findings: Findings) -> Iterator[tuple[str, Any]]:
    """Yield `(place, value)` for the items of a list; what follows an error can't be told, so it ends there."""
    with opened(path) as file:
        text = _Text(file)
        try:
            yield from _items(text, findings)
        except json.JSONDecodeError as error:
            findings.add(f"line {text.line}", f"not valid JSON: {error.msg}: {text.ahead()!r}")
        except RecursionError:
            findings.add(f"line {text.line}", "not valid JSON: it is too deep")
        except UnicodeDecodeError as error:
            findings.add(f"line {text.line}", f"or a later one is not UTF-8: {error.reason}")
        except (OSError, EOFError, lzma.LZMAError) as error:
            findings.add(f"line {text.line}", f"can't be read, the file is cut short or damaged: {error}")


def _items(text: _Text, findings: Findings) -> Iterator[tuple[str, Any]]:
    """Yield the items.

    Raises:
        JSONDecodeError: an item is not valid.
    """
    text.skip("[")
    number = 0
    while text.peek() != "]" or number:
        number += 1
        line = text.line
        yield f"item {number} (line {line})", text.value()
        mark = text.peek()
        if mark == "]":
            break
        if mark != ",":
            findings.add(f"line {text.line}", f"not valid JSON: a comma or ] is missing before {text.ahead()!r}")
            return
        text.skip(",")
        text.peek()
    text.skip("]")
    if text.peek():
        findings.add(f"line {text.line}", f"not valid JSON: the list has ended before {text.ahead()!r}")


@dataclass
class _Text:
    """A window on the text of a file: what was read and not yet used."""

    file: BinaryIO
    """Where the text is from."""
    line: int = 1
    """Line in which the unused text begins."""

    def __post_init__(self) -> None:
        """Start with nothing read."""
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._window, self._start, self._ended = "", 0, False

    def ahead(self) -> str:
        """Return a little of the unused text, for messages."""
        return self._window[self._start : self._start + 40].strip()

    def peek(self) -> str:
        """Return the next character that is no space, or nothing at the end."""
        while True:
            at = self._start
            while at < len(self._window) and self._window[at] in _SPACE:
                at += 1
            self._use(at)
            if at < len(self._window) or self._ended:
                return self._window[at : at + 1]
            self._more()

    def skip(self, mark: str) -> None:
        """Go past one character."""
        if self.peek() == mark:
            self._use(self._start + 1)

    def value(self) -> Any:
        """Return the next value; one that ends where the window does may go on behind it.

        Raises:
            JSONDecodeError: there is none.
        """
        while True:
            try:
                value, end = json.JSONDecoder().raw_decode(self._window, self._start)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos > len(self._window) - _LONGEST_TOKEN
                if self._ended or not cut:
                    raise
            else:
                if end < len(self._window) or self._ended:
                    self._use(end)
                    return value
            self._more()

    def _more(self) -> None:
        """Read as much again as is unused, so that a long item takes linear time."""
        kept = self._window[self._start :]
        data = self.file.read(max(PART_BYTES, len(kept)))
        self._ended = not data
        self._window, self._start = kept + self._decoder.decode(data, final=self._ended), 0

    def _use(self, end: int) -> None:
        """Drop the text up to `end`, and count its lines."""
        self.line += self._window.count("\n", self._start, end)
        self._start = end
