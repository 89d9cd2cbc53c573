"""Filling the slots of a frame with devices, rooms, values and small choices."""

from functools import cache
from random import Random
from typing import Final

from potstill.data.home.frames import Frame
from potstill.data.home.lexicon import CHOICES, NOUNS, Noun
from potstill.data.home.rooms import DEVICE_ROOMS, HERE, ROOM_NAMES, WHOLE, WHOLE_NAMES, Room
from potstill.data.home.things import TASK_CHOICES, THINGS

_NAMED: Final = frozenset(["pre", "post", "tail", "front", "baretail", "barefront", "room"])
_ARTICLES: Final = ("the",) * 15 + ("my",) * 2 + ("our", "")
_PLURAL_ARTICLES: Final = ("the",) * 14 + ("my",) * 2 + ("our", "", "", "all the")
_BARE: Final = ("",) * 12 + ("the", "my")
_ALL: Final = ("all the",) * 5 + ("all",) * 2 + ("all of the", "all my", "all our", "all of my")
_ROOM_ARTICLES: Final = ("the",) * 17 + ("my", "my", "our")
_MASS: Final = frozenset(
    [
        "music",
        "tunes",
        "lighting",
        "heat",
        "security",
        "air conditioning",
        "heating",
        "irrigation",
        "watering",
        "cooling",
        "ventilation",
        "A/C",
        "AC",
    ]
)
_THINGS: Final = tuple(Noun(text, text.endswith(("ts", "es", "ows", "els", "phones")), "") for text in THINGS)


@cache
def _candidates(slot: str, named: bool, plural: bool) -> tuple[Noun, ...]:
    """The nouns of a slot that fit with a named room or without one, only plural ones if asked."""
    if slot == "thing":
        return _THINGS
    barred = "n" if named else "r"
    fitting = tuple(noun for noun in NOUNS[slot] if noun.where != barred and (noun.plural or not plural))
    return fitting or NOUNS[slot]


class Filling:
    """The words put into one frame."""

    def __init__(self, rng: Random, frame: Frame, device: str) -> None:
        """Choose the room for `frame` about `device`."""
        self._rng = rng
        self._frame = frame
        self._named = frame.place in _NAMED
        self._spot: Room | None = None
        self._placed = False
        self._plural = False
        self.value = ""
        if self._named:
            self._spot = rng.choice(ROOM_NAMES[rng.choice(DEVICE_ROOMS[device])])
        self.room = self._spot.room if self._spot else "home"
        self._about_lock = device == "lock"

    def core(self) -> str:
        """The core phrasing with all its slots filled."""
        words: list[str] = []
        for literal, slot in self._frame.pieces:
            words.append(literal)
            if slot:
                words.append(self._fill(slot))
        return "".join(words)

    def place(self) -> str:
        """The phrase that says where, for places outside the core ("in the kitchen", "everywhere", "")."""
        place = self._frame.place
        if place in ("tail", "front"):
            return self._in_room()
        if place in ("baretail", "barefront"):
            return self._spot.text if self._spot else ""
        if place == "here":
            return self._rng.choice(HERE)
        return self._rng.choice(WHOLE) if place == "whole" else ""

    def _fill(self, slot: str) -> str:
        """The words for one slot."""
        if slot in ("val", "lvl", "num"):
            return self.value
        if slot in NOUNS or slot == "thing":
            return self._noun(slot)
        if slot == "R":
            return self._room()
        if slot == "r":
            return self._spot.text if self._spot else ""
        if slot == "is":
            return "are" if self._plural else "is"
        if slot == "needs":
            return "need" if self._plural else "needs"
        options = CHOICES.get(slot) or TASK_CHOICES[slot]
        return self._rng.choice(options)

    def _noun(self, slot: str) -> str:
        """A device with its article, and with the room where that stands next to it."""
        rng, place = self._rng, self._frame.place
        every = place == "all" and not self._placed
        noun = rng.choice(_candidates(slot, self._named, every))
        self._plural = noun.plural
        text = noun.text
        near = self._spot if not self._placed else None
        self._placed = True
        if place == "pre" and near:
            text = f"{near.before} {text}"
        article = rng.choice(_ALL) if every else self._article(noun)
        text = f"{article} {text}" if article else text
        if place == "post" and near:
            text = f"{text} {self._in_room()}"
        return text

    def _article(self, noun: Noun) -> str:
        """An article for a device; telegraphic phrasings mostly have none."""
        if self._frame.kind == "t":
            return self._rng.choice(_BARE)
        if noun.text in _MASS and self._rng.random() < 0.25:
            return ""
        return self._rng.choice(_PLURAL_ARTICLES if noun.plural else _ARTICLES)

    def _in_room(self) -> str:
        """The room as a phrase of place ("in the kitchen")."""
        if self._spot is None:
            return ""
        preposition = self._spot.place
        if self._about_lock and self._frame.place == "post":
            preposition = self._rng.choice(("to", "to", "of", "in", "in", "at"))
        elif self._rng.random() < 0.04:
            outside = self._spot.room in ("garden", "garage")
            preposition = f"out {preposition}" if outside else f"over {preposition}"
        return f"{preposition} {self._rng.choice(_ROOM_ARTICLES)} {self._spot.text}"

    def _room(self) -> str:
        """The room as a thing ("the kitchen"), or the whole house."""
        if self._spot is None:
            return self._rng.choice(WHOLE_NAMES)
        return f"{self._rng.choice(_ROOM_ARTICLES)} {self._spot.text}"
