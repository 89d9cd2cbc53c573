"""Rooms: how people name them, which device stands in which, and words for the whole house."""

from typing import Final, NamedTuple


def _texts(text: str) -> tuple[str, ...]:
    """The parts of a text between commas."""
    return tuple(part.strip() for part in text.split(","))


class Room(NamedTuple):
    """One way to name a room."""

    room: str
    text: str
    before: str  # the form that stands before a noun
    place: str  # the preposition phrase that stands after a noun or sentence


def _rooms() -> dict[str, tuple[Room, ...]]:
    """The names of every room, repeated by weight."""
    table = {
        "living_room": "13 living room, 4 lounge, 4 sitting room, 1 livingroom",
        "bedroom": "16 bedroom, 2 master bedroom, 1 main bedroom",
        "kitchen": "16 kitchen",
        "bathroom": "16 bathroom, 1 bath",
        "office": "12 office, 7 study, 2 home office",
        "garage": "16 garage",
        "hallway": "12 hallway, 6 corridor, 4 hall",
        "garden": "14 garden, 5 yard, 4 lawn, 5 backyard, 1 back yard, 1 back garden",
        "dining_room": "16 dining room, 1 dining area",
        "kids_room": "5 kids room, 5 kids' room, 4 kid's room, 6 nursery, 4 children's room, 1 children's bedroom, "
        "1 kids bedroom, 1 kids' bedroom",
    }
    rooms: dict[str, tuple[Room, ...]] = {}
    for room, names in table.items():
        variants: list[Room] = []
        for item in names.split(","):
            weight, text = item.split(maxsplit=1)
            place = "on" if text == "lawn" else "in"
            variants += [Room(room, text, text, place)] * int(weight)
        rooms[room] = tuple(variants)
    return rooms


ROOM_NAMES: Final = _rooms()

_INDOOR: Final = "living_room bedroom kitchen bathroom office hallway dining_room kids_room garage".split()
_ALL: Final = [*_INDOOR, "garden"]

# The rooms of each device, repeated by weight.
DEVICE_ROOMS: Final[dict[str, list[str]]] = {
    "light": _ALL * 2,
    "thermostat": _INDOOR * 8 + ["garden"],
    "fan": _INDOOR * 8 + ["garden"],
    "blinds": _INDOOR * 8 + ["garden"],
    "lock": [*_ALL, "garage", "garage"],
    "tv": [*_ALL, *_INDOOR, "living_room", "bedroom", "kids_room", "living_room"],
    "speaker": _ALL * 2,
    "vacuum": _INDOOR * 8 + ["garden"],
    "oven": ["kitchen"] * 60 + _ALL,
    "coffee_maker": ["kitchen"] * 30 + ["office"] * 12 + ["dining_room"] * 4 + _ALL,
    "alarm": ["garage"] * 10 + ["office"] * 4 + _ALL * 2,
    "sprinkler": ["garden"],
    "none": _ALL,
}

WHOLE: Final = _texts(
    "everywhere, in the whole house, in every room, throughout the house, all over the house, in all rooms, in the "
    "entire house, in all the rooms, around the house, in the house, at home, in the whole apartment, in the "
    "apartment, in the whole home, everywhere in the house, in the home, all around the house, in my house, in our "
    "home, across the whole house"
)
WHOLE_NAMES: Final = _texts(
    "the whole house, the entire house, the house, every room, all the rooms, all rooms, my house, the apartment, "
    "the whole apartment, the whole home"
)
HERE: Final = ("in here", "in here", "in here", "here", "in this room")
