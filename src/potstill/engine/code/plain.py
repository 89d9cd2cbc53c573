"""Plain values by content, and sets in an order of their own; both are written without looking at anything else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any

from potstill.engine.code.origins import is_entry
from potstill.engine.code.syntax import sha
from potstill.engine.code.walk import Encoded, Walk


def encode_plain(walk: Walk, value: object) -> Encoded | None:
    """Return a plain value by content, or None; where the project lies is no content."""
    kind = type(value)
    if type(value) is str:
        return ["str", *_placed(walk, value)]
    if kind in (bool, int, type(None)):
        return [kind.__name__, str(value)]
    if type(value) is float:
        return ["float", value.hex()]
    if type(value) is bytes:
        return ["bytes", value.hex() if len(value) < 200 else sha(value.hex())]
    if kind in (complex, date, timedelta, Decimal, range):
        return [kind.__name__, repr(value)]
    if (type(value) is datetime or type(value) is time) and value.tzinfo is None:
        return [kind.__name__, repr(value)]
    if value is ... or value is NotImplemented:
        return ["constant", repr(value)]
    if isinstance(value, PurePath) and kind.__module__.startswith("pathlib"):
        return ["path", *_placed(walk, str(value))]
    return None


def _placed(walk: Walk, text: str) -> list[str]:
    """Return a text; one that is a path in the project by its place there."""
    if is_entry(text):
        return ["<main>"]
    walk.words.add(text)
    inside = walk.folder and (text == walk.folder or text.startswith(f"{walk.folder}/"))
    return ["<project>", text[len(walk.folder) :]] if inside else [text]


def encode_set(walk: Walk, value: Iterable[Any], label: str, holder: object = None) -> list[Encoded]:
    """Return what is in a set, in an order that does not depend on where objects lie in memory.

    `holder` is the object that the set belongs to, where `value` is a copy.
    """
    items, place = list(value), id(value if holder is None else holder)
    if len(items) == 1:
        return walk.encode_all(items, label)
    if all(encode_plain(walk, item) is not None for item in items):
        return sorted((walk.encode(item, label) for item in items), key=json.dumps)
    # the set holds something that leads back to it
    if place in walk.open_sets:
        return [["again"]]

    def alone(item: object) -> str:
        """Return the digest of one item by a walk of its own."""
        # parts are numbered in the order of the visit: only a walk of its own gives an item one text
        inner = walk.apart(place)
        inner.parts[""] = inner.encode(item, "")
        inner.visit(lambda _: None)
        return json.dumps(inner.parts)

    return [walk.encode(item, label) for item in sorted(items, key=alone)]
