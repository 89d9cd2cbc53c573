"""The way of one call through the files of Potstill: which it crosses, and how often it comes back to one.

What is counted:

- A *crossing* is a call from one file of Potstill into another. The caller is the nearest function of Potstill that is
  still running, so what transformers or torch call back counts as called by whoever called these.
- Each function, method, lambda and generator counts once, at its first call: a reader reads it once, however many
  batches there are.
- A *stay* is one or several crossings into the same file in a row; calls within a file are none. A *return* is a stay
  in a file that was left before, so there are as many as there are stays more than files.
- The engine, `errors.py` and what imports old names are left out.

`by_name` counts only what the calling file names, or hands over to be called back: functions, classes and callbacks,
not methods of objects that it was given.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import potstill

ROOT = f"{Path(potstill.__file__).parent}/"
OUTSIDE = ("engine/", "errors.py", "moved.py", "lazy_names.py")


@dataclass
class Way:
    """Crossings in their order: the file, and the qualified name of what was called there."""

    crossings: list[tuple[str, str]] = field(default_factory=list)
    start: str = ""
    _first: FrameType | None = None
    _ended: bool = False
    _seen: set[CodeType] = field(default_factory=set)
    _places: dict[str, str] = field(default_factory=dict)

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        """Take a call; for `sys.setprofile`."""
        code = frame.f_code
        if event == "return" and frame is self._first:
            self._ended = True
        if event != "call" or self._ended or code in self._seen or code.co_name == "<module>":
            return
        place = self._place(code)
        if self.start and self._first is None:
            if not (place and code.co_name == self.start):
                return
            self._first = frame
        self._seen.add(code)
        caller = frame.f_back
        while caller is not None and not self._place(caller.f_code):
            caller = caller.f_back
        if place and (caller is None or self._place(caller.f_code) != place):
            self.crossings.append((place, code.co_qualname))

    def _place(self, code: CodeType) -> str:
        """Return the file of Potstill that holds `code`, or nothing."""
        file = code.co_filename
        if file not in self._places:
            inside = file.removeprefix(ROOT) if file.startswith(ROOT) else ""
            self._places[file] = "" if inside.startswith(OUTSIDE) else inside
        return self._places[file]

    def stays(self, *, by_name: bool = False, room: str = "") -> list[str]:
        """Return the files in the order in which they are entered, those of `room` only."""
        named = (place for place, name in self.crossings if place.startswith(room) and (not by_name or _is_named(name)))
        return [place for place, _ in groupby(named)]

    def described(self) -> str:
        """Return the way in lines, for whoever has to shorten it."""
        seen: set[str] = set()
        lines = []
        for place, group in groupby(self.crossings, key=lambda crossing: crossing[0]):
            lines.append(f"{'back to ' if place in seen else ''}{place}: {', '.join(name for _, name in group)}")
            seen.add(place)
        return "\n".join(lines)


def _is_named(name: str) -> bool:
    return "." not in name or "<" in name or name.endswith("__init__")


def count(stays: list[str]) -> tuple[int, int]:
    """Return how many files are crossed, and how many returns there are."""
    files = len(set(stays))
    return files, len(stays) - files


@contextmanager
def recorded(start: str = "") -> Iterator[Way]:
    """Record the way of the block; of one named function, `start`, from its first call until that returns."""
    way = Way(start=start)
    before = sys.getprofile()
    sys.setprofile(way)
    try:
        yield way
    finally:
        sys.setprofile(before)
