"""Incremental parser of one JSON list, item by item."""

from __future__ import annotations

import codecs
import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from potstill.steps.loading.files import LONGEST_BYTES, TOO_LONG, marked, opened, undecodable
from potstill.steps.loading.schema import Findings

PART_BYTES = 2**20
"""Bytes that are read at a time."""
_SPACE = " \t\r\n"
_LONGEST_TOKEN = 64
"""Text that may be missing behind the last complete token; an error further ahead of the end is real."""


def items(path: Path, findings: Findings, field: str = "") -> Iterator[tuple[str, Any]]:
    """Yield `(place, value)` for the items of a list, which may stand under a name in an object.

    What follows an error can't be parsed, so reading ends there.
    """
    with opened(path) as file:
        text = _Text(file, marked(path, "utf-8")[0])
        try:
            for name in field.split(".") if field else ():
                if not _enter(text, name, findings, field):
                    return
            if text.peek() != "[":
                findings.add(f"line {text.line}", f"field {field!r} holds no list: {text.ahead()!r}")
                return
            yield from _items(text, findings, ends=not field)
        except UnicodeDecodeError as error:
            findings.add(f"line {text.line}", f"or a later one {undecodable(text.encoding, error)}")
        except (ValueError, RecursionError) as error:
            findings.add(f"line {text.line}", f"not valid JSON: {unreadable(error)}: {text.ahead()!r}")
        except (OSError, EOFError, lzma.LZMAError) as error:
            findings.add(f"line {text.line}", f"can't be read, the file is cut short or damaged: {error}")


def unreadable(error: Exception) -> str:
    """Return why JSON can't be read."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} (column {error.colno})"
    return "it is nested too deep" if isinstance(error, RecursionError) else str(error)


def is_one_object(path: Path) -> bool:
    """Return whether a file holds one object over several lines, rather than one on each."""
    with opened(path) as file:
        try:
            head = file.read(PART_BYTES).decode(marked(path, "utf-8")[0], "ignore").lstrip("\ufeff \t\r\n")
        except (OSError, EOFError, lzma.LZMAError):
            return False
    first, line_break, _ = head.partition("\n")
    if not head.startswith("{") or not line_break:
        return False
    try:
        json.loads(first)
    except json.JSONDecodeError as error:
        # cut within the first line, not broken in it
        return error.pos >= len(first.rstrip()) - 1 or error.msg.startswith(
            ("Expecting property name", "Expecting value")
        )
    except (ValueError, RecursionError):
        return False
    return False


def _enter(text: _Text, name: str, findings: Findings, field: str) -> bool:
    """Go to the value under a name of an object; a missing one is a finding."""
    line, names = text.line, list[str]()
    if text.peek() != "{":
        findings.add(f"line {line}", f"holds no object in which to look for field {field!r}: {text.ahead()!r}")
        return False
    text.skip("{")
    while text.peek() != "}":
        key = text.value()
        text.peek()
        text.skip(":")
        text.peek()
        if key == name:
            return True
        names.append(str(key))
        text.value()
        text.peek()
        text.skip(",")
    findings.add(f"line {line}", f"no field {name!r} (it has {', '.join(names) or 'nothing'})")
    return False


def _items(text: _Text, findings: Findings, *, ends: bool) -> Iterator[tuple[str, Any]]:
    """Yield the items; where the list is all that a file holds, it `ends` there.

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
    if ends and text.peek():
        findings.add(f"line {text.line}", f"not valid JSON: the list has ended before {text.ahead()!r}")


@dataclass
class _Text:
    """A window on the text of a file: what was read and not yet used."""

    file: BinaryIO
    """Where the text is from."""
    encoding: str = "utf-8"
    """How it is written."""
    line: int = 1
    """Line in which the unused text begins."""

    def __post_init__(self) -> None:
        """Start with nothing read."""
        self._decoder = codecs.getincrementaldecoder(self.encoding)()
        self._window, self._start, self._ended = "", 0, False

    def ahead(self) -> str:
        """Return a little of the unused text, for messages."""
        return self._window[self._start : self._start + 40].strip()

    def peek(self) -> str:
        """Return the next character that is no space, or an empty string at the end."""
        while True:
            at = self._start
            if self._window[at : at + 1] == "\ufeff":
                at += 1
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
                # a number that touches the window's end may go on: 12 of 123
                if end < len(self._window) or self._ended:
                    self._use(end)
                    return value
            self._more()

    def _more(self) -> None:
        """Read as much as is unused, which doubles the window, so that a long item takes linear time."""
        unused = self._window[self._start :]
        if len(unused) > LONGEST_BYTES:
            raise ValueError(f"an item {TOO_LONG}")
        data = self.file.read(max(PART_BYTES, len(unused)))
        self._ended = not data
        self._window, self._start = unused + self._decoder.decode(data, final=self._ended), 0

    def _use(self, end: int) -> None:
        """Drop the text up to `end`, and count its lines."""
        self.line += self._window.count("\n", self._start, end)
        self._start = end
