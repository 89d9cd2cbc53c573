"""A walk over everything that a user's class or function can reach: code by source, values by content.

Every object is visited once; what was visited before is named by its place, so that cycles end and shared objects are
known as shared. Each function, class, named value and module is a part of its own, so that a change can be named. What
can't be seen is a problem by name, never left out.
"""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FunctionType
from typing import Any

from potstill.engine.code.origins import is_own_name
from potstill.engine.code.syntax import sha
from potstill.errors import Problem, RequestError

DEPTH = 60
"""How deep values are written one in the other; what lies deeper becomes a part of its own."""
SCHEME = "3"
"""Version of the way in which code is digested."""
PYTHON = "Python"
"""Part that names the version of Python where only its instructions could be digested."""
Encoded = list[Any]
"""Nested JSON lists whose first element says what they stand for."""
Handler = Callable[["Walk", Any, str], Encoded]
"""Returns what an object is made of; gets the walk, the object, and the label of its part."""


class Walk:
    """One walk, with all that it has seen."""

    def __init__(self, encode: Handler, folder: str = "", open_sets: frozenset[int] = frozenset()) -> None:
        """Write values by `encode`; paths below `folder`, the project's, count by their place in it."""
        self._encode = encode
        self.folder = folder
        self.open_sets = open_sets
        self.parts: dict[str, Encoded] = {}
        self.problems: dict[str, None] = {}
        self.spaces: dict[int, dict[str, Any]] = {}
        """Global variables of the user's modules whose code was reached, by id."""
        self.classes: dict[int, type] = {}
        """The user's classes that were reached, by id."""
        self.texts: dict[str, str | type] = {}
        """Docstrings, or the classes that have them, by label: they count if code that was reached reads docstrings."""
        self.homes: dict[str, str] = {}
        """Modules that functions and classes say they are of, by label: they count if code reached reads them."""
        self.annotated: dict[str, FunctionType] = {}
        """Functions that have annotations, by label: the values of these count if code that was reached reads them."""
        self.flags: set[str] = set()
        """What the code that was reached reads beside values: `names`, `imports`, `docstrings`, `source`, ..."""
        self.words: set[str] = set()
        """Texts in values and code: they name modules where code imports by a computed name."""
        self.read: set[str] = set()
        """Files of modules whose statements were judged."""
        self._places: dict[int, str] = {}
        # objects are known by id(), which Python gives again once one is freed: all are held till the end
        self._alive: list[Any] = []
        self._named: dict[tuple[int, str], str] = {}
        self._written: dict[int, Encoded] = {}
        self._queue: deque[tuple[Handler, Any, str]] = deque()
        self._counts: dict[str, int] = {}
        self._depth = 0

    def apart(self, open_set: int) -> Walk:
        """Return a walk of its own for what is in a set, given by its id, which it does not enter again."""
        return Walk(self._encode, self.folder, self.open_sets | {open_set})

    def encode(self, value: object, label: str) -> Encoded:
        """Return what stands for `value` in the part `label`."""
        # a long linked list would end in a RecursionError: what lies deeper waits in the queue
        if self._depth >= DEPTH and id(value) not in self._places:
            return self.part(value, f"{label} (inside)", _deeper)
        self._depth += 1
        try:
            return self._encode(self, value, label)
        finally:
            self._depth -= 1

    def encode_all(self, values: Iterable[Any], label: str) -> list[Encoded]:
        """Return what stands for each of `values`."""
        return [self.encode(value, label) for value in values]

    def encode_named(self, values: dict[str, Any], label: str) -> list[Encoded]:
        """Return [name, what stands for the value] for each of `values`, by name."""
        return [[name, self.encode(values[name], label)] for name in sorted(values)]

    def seen(self, value: object) -> Encoded | None:
        """Return the place of an object that was visited before, or None."""
        place = self._places.get(id(value))
        return ["again", place] if place is not None else None

    def forget(self, value: object) -> None:
        """Take the place of an object away: it is about to be written where it stands."""
        self._places.pop(id(value), None)

    def remember(self, value: object, label: str) -> None:
        """Give an object that is written inside the part `label` a place there."""
        self._counts[label] = self._counts.get(label, 0) + 1
        self._places[id(value)] = f"{label}:{self._counts[label]}"
        self._alive.append(value)

    def written(self, value: object, write: Callable[[], Encoded]) -> Encoded:
        """Return what stands for an object that can't change, written once; a long text is named by its digest."""
        if id(value) not in self._written:
            encoded = write()
            text = json.dumps(encoded)
            self._written[id(value)] = encoded if len(text) < 200 else ["digest", encoded[0], sha(text)]
            self._alive.append(value)
        return self._written[id(value)]

    def part(self, value: object, label: str, handler: Handler) -> Encoded:
        """Make `value` a part of its own, to be visited later; return what names it."""
        place = self._places.get(id(value))
        if place is None:
            place = self._claimed(label)
            self._places[id(value)] = place
            self._alive.append(value)
            self._queue.append((handler, value, place))
        return ["see", place]

    def named(self, value: object, name: str, space: object) -> Encoded:
        """Return what stands for the variable `name` of `space` (a namespace or class): a part with its name."""
        encoded = self._named.get((id(space), name))
        if encoded is None:
            encoded = self._named[(id(space), name)] = self._claimed(f"value of {name}")
            self._alive.append(space)
            self._queue.append((_value, value, encoded))
        return ["see", encoded]

    def refuse(self, value: object, label: str, why: str = "") -> Encoded:
        """Note that a value can't be seen."""
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        message = why or (
            f"{label.partition('#')[0].removesuffix(' (inside)')} holds a {kind}, whose state can't be part of a key: "
            "make it inside run, pass what it is made from as a parameter (a file as a File), or give its class an "
            "identity() method"
        )
        self.problems[message] = None
        return ["refused"]

    def flag(self, what: str) -> None:
        """Note that the code that was reached reads something beside values."""
        self.flags.add(what)

    def visit(self, more: Callable[[Walk], None]) -> None:
        """Visit all that waits, ask for `more`, and again until nothing is new."""
        while self._queue:
            while self._queue:
                handler, value, label = self._queue.popleft()
                self.parts[label] = handler(self, value, label)
            more(self)

    def digests(self) -> dict[str, str]:
        """Return the digest of each part, by label.

        Raises:
            RequestError: something can't be seen; all of it together.
        """
        if self.problems:
            raise RequestError(*(Problem("", "", message) for message in self.problems))
        return {label: sha(json.dumps(part, separators=(",", ":"))) for label, part in self.parts.items()}

    def by_instructions(self) -> None:
        """Note that something counts by its instructions, which each version of Python writes in its own way."""
        self.parts[PYTHON] = ["python", *sys.version_info[:2]]

    def _claimed(self, label: str) -> str:
        """Return a label that no other part has."""
        number = self._counts.get(f"label {label}", 0) + 1
        self._counts[f"label {label}"] = number
        return f"{label}#{number}" if number > 1 else label


def _deeper(walk: Walk, value: object, label: str) -> Encoded:
    """Write a value that lay too deep to be written where it was found."""
    walk.forget(value)
    return walk.encode(value, label)


def _value(walk: Walk, value: object, label: str) -> Encoded:
    """Write a named value."""
    return walk.encode(value, label)


def project_folder(module: object) -> str:
    """Return the folder that the user's module `module` is imported from, or nothing."""
    loaded = sys.modules.get(module) if isinstance(module, str) else None
    file = getattr(loaded, "__file__", None)
    if not isinstance(module, str) or not isinstance(file, str) or file.startswith("<") or not is_own_name(module):
        return ""
    path = Path(file).absolute()
    ups = module.count(".") + (path.stem == "__init__")
    folder = path.parents[min(ups, len(path.parents) - 1)]
    return str(folder) if len(folder.parts) > 2 else ""
