"""Phrasing frames: the core phrasings expanded, each at every place its room may take, and split into two sets."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Final, Literal, NamedTuple

from potstill.data.home import refusals
from potstill.data.home.lexicon import NOUNS, STATE_SENTENCES, STATE_VERBS
from potstill.data.home.phrasings import PHRASINGS

Split = Literal["train", "test"]
Piece = tuple[str, str]  # literal text and the slot that follows it ("" at the end)

RESERVED_PERCENT: Final = 12
# Chosen so that few everyday phrasings ("turn off the lights") fall to the test split, yet every action has some there.
_SALT: Final = "16478 "
UNKNOWN: Final = "refuse.unknown_device"
UNSUPPORTED: Final = "refuse.unsupported_action"

_SHARES: Final = {"v": 0.5, "w": 0.14, "t": 0.17, "s": 0.12, "c": 0.22}
_LINE: Final = re.compile(r"(?P<kind>[vwtsc]) (?:(?P<weight>\d+)\*)?(?P<text>.*?)(?:\s+=>\s*(?P<value>\w+))?\s*$")
_GROUP: Final = re.compile(r"\(([^()]*)\)")
_SLOT: Final = re.compile(r"\{(\w+)\}")
_TIGHT: Final = re.compile(r"^ (volume|brightness|colou?r|sound|position|speed|temperature|vol|loudness|audio)\b")
_PLACES: Final = {
    "none": 24.0,
    "pre": 24.0,
    "post": 11.0,
    "tail": 14.0,
    "front": 4.0,
    "here": 3.0,
    "whole": 4.0,
    "all": 4.0,
    "baretail": 6.0,
    "barefront": 3.0,
    "room": 24.0,
    "house": 3.0,
}
_HOMELY: Final = frozenset(["oven", "coffee_maker", "alarm", "sprinkler", "refuse"])


class Frame(NamedTuple):
    """A core phrasing with its room at one place."""

    name: str
    group: str
    kind: str
    place: str
    pieces: tuple[Piece, ...]
    fixed: str | None
    weight: float
    ranged: bool  # the phrasing names the value by a slot


def expand(text: str) -> Iterator[str]:
    """All readings of `text`, one for each choice in its "(a|b)" groups."""
    parts = _GROUP.split(text)
    choices = [part.split("|") if index % 2 else [part] for index, part in enumerate(parts)]
    for chosen in product(*choices):
        yield " ".join("".join(chosen).split())


def pieces(text: str) -> tuple[Piece, ...]:
    """`text` cut into literals and slots."""
    parts = [*_SLOT.split(text), ""]
    return tuple(zip(parts[::2], parts[1::2], strict=True))


def _needs_adjective(frame: str) -> bool:
    """Whether a frame around a thing and its state does not take "to ..."."""
    return "to be {S}" in frame or "{is}" in frame or frame.startswith(("{N}", "get"))


def _agreed(text: str, noun: str) -> str:
    """`text` with its verbs agreeing with a noun that is plain words."""
    plural = noun.endswith("s") and "news" not in noun
    return text.replace("{is}", "are" if plural else "is").replace("{needs}", "need" if plural else "needs")


def _stated(text: str) -> Iterator[tuple[str, str, int]]:
    """A thing and its state in every frame that asks for it: kind, text and weight."""
    noun, state = text.split(" :: ")
    for kind, frames in (("v", STATE_VERBS), ("s", STATE_SENTENCES)):
        for frame in dict.fromkeys(frames):
            if state.startswith("to ") and _needs_adjective(frame):
                continue
            filled = frame.replace("{N}", noun).replace("{S}", state).replace("to be to be", "to be")
            yield kind, filled if _SLOT.search(noun) else _agreed(filled, noun), frames.count(frame)


def _places(kind: str, text: str, homely: bool) -> list[str]:
    """The places a room may take in a phrasing."""
    if "{R}" in text or "{r}" in text:
        return ["room"] if "{r}" in text or kind == "t" else ["room", "house"]
    nouns = [slot for slot in _SLOT.findall(text) if slot in NOUNS or slot == "thing"]
    places = ["none", "tail", "whole"]
    places += ["front"] if kind != "t" else ["baretail", "barefront"]
    places += ["here"] if not homely and kind != "t" else []
    if nouns:
        after = text[text.index("{" + nouns[0] + "}") + len(nouns[0]) + 2 :]
        places += ["pre"] if _TIGHT.match(after) else ["pre", "post"]
        if nouns[0] in NOUNS and any(noun.plural for noun in NOUNS[nouns[0]]) and not homely:
            places.append("all")
    return places


def _lines(table: str) -> Iterator[tuple[str, str, float, str | None, str]]:
    """Kind, text, weight, fixed value and the share a line draws on, for every expanded phrasing of a table."""
    for line in table.strip().splitlines():
        match = _LINE.match(line)
        if match is None:
            raise ValueError(f"not a phrasing: {line!r}")
        for text in expand(match["text"]):
            weight = float(match["weight"] or 1)
            if match["kind"] == "w":
                for kind, filled, share in _stated(text):
                    yield kind, filled, weight * share, match["value"], "w"
            else:
                yield match["kind"], text, weight, match["value"], match["kind"]


def _place_weight(place: str, group: str) -> float:
    """How often a room takes this place; requests about the whole home rarely name one."""
    device = group.split(".")[0]
    if group == UNKNOWN:
        return _PLACES[place] * (8 if place == "none" else 1)
    if place == "none" and (device in _HOMELY or device == "lock"):
        return _PLACES[place] * (3 if device in _HOMELY else 2)
    return _PLACES[place] * (0.3 if place == "whole" and device in _HOMELY else 1)


def _frames(group: str, table: str) -> Iterator[Frame]:
    """All frames of one group of phrasings, weighted so that its kinds keep their shares."""
    lines = list(_lines(table))
    totals: dict[str, float] = defaultdict(float)
    for _, _, weight, _, share in lines:
        totals[share] += weight
    device = group.split(".")[0]
    for kind, text, weight, fixed, share in lines:
        places = _places(kind, text, device in _HOMELY)
        if group == UNKNOWN and "{thing}" not in text:
            places = ["none"]
        if device == "sprinkler" and "house" in places:
            places.remove("house")
        scale = _SHARES[share] * weight / totals[share] / sum(_place_weight(place, group) for place in places)
        ranged = any(slot in text for slot in ("{val}", "{lvl}", "{num}"))
        for place in places:
            yield Frame(
                f"{group}:{text}@{place}",
                group,
                kind,
                place,
                pieces(text),
                fixed,
                scale * _place_weight(place, group),
                ranged,
            )


def _unsupported() -> str:
    """The table of unsupported actions with every device put in."""
    lines = [
        refusals.UNSUPPORTED.strip().replace(
            "{X2}",
            "("
            + "|".join(f"{{{device}}}" for device in ("light", "fan", "blinds", "vacuum", "coffee", "sprinkler"))
            + ")",
        )
    ]
    for line in refusals.UNSUPPORTED_CROSS.strip().splitlines():
        text, devices = line.split(" # ")
        lines += [text.replace("{X}", f"{{{device}}}") for device in devices.split()]
    for line in refusals.UNSUPPORTED_ANY.strip().splitlines():
        lines += [line.replace("{X}", f"{{{device}}}") for device in refusals.ABSURD_DEVICES.split()]
    return "\n".join(lines)


def is_reserved(name: str) -> bool:
    """Whether the frame called `name` is held out for the test split."""
    return int(hashlib.sha256((_SALT + name).encode()).hexdigest()[:8], 16) % 100 < RESERVED_PERCENT


@cache
def all_frames() -> dict[str, tuple[Frame, ...]]:
    """All distinct frames by group."""
    tables = {**PHRASINGS, UNKNOWN: refusals.UNKNOWN, UNSUPPORTED: _unsupported()}
    groups: dict[str, tuple[Frame, ...]] = {}
    for group, table in tables.items():
        distinct = {frame.name: frame for frame in _frames(group, table)}
        groups[group] = tuple(distinct.values())
    return groups


@cache
def frames_of(split: Split) -> dict[str, tuple[Frame, ...]]:
    """The frames of one split by group."""
    wanted = split == "test"
    return {
        group: tuple(frame for frame in frames if is_reserved(frame.name) == wanted)
        for group, frames in all_frames().items()
    }
