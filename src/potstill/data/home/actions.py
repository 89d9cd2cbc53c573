"""The schema of the domain as a table, the canonical JSON of an action and its validator."""

import json
from typing import Final

Value = int | str | None
Range = tuple[int, int] | tuple[str, ...] | None

COLORS: Final = ("red", "green", "blue", "yellow", "purple", "orange", "white", "warm")
SPEEDS: Final = ("low", "medium", "high")
GENRES: Final = ("jazz", "rock", "pop", "classical", "news")
REASONS: Final = ("unknown_device", "unsupported_action", "out_of_range")
ROOMS: Final = (
    "living_room",
    "bedroom",
    "kitchen",
    "bathroom",
    "office",
    "garage",
    "hallway",
    "garden",
    "dining_room",
    "kids_room",
    "home",
)

# Values of each action: an inclusive range of numbers, a choice of words, or None where the action takes none.
SCHEMA: Final[dict[str, dict[str, Range]]] = {
    "light": {"on": None, "off": None, "set_brightness": (1, 100), "set_color": COLORS},
    "thermostat": {"set_temperature": (10, 30), "raise": (1, 10), "lower": (1, 10), "off": None},
    "fan": {"on": None, "off": None, "set_speed": SPEEDS},
    "blinds": {"open": None, "close": None, "set_position": (0, 100)},
    "lock": {"lock": None, "unlock": None},
    "tv": {"on": None, "off": None, "set_volume": (0, 100), "mute": None},
    "speaker": {"play": GENRES, "pause": None, "set_volume": (0, 100)},
    "vacuum": {"start": None, "stop": None, "dock": None},
    "oven": {"preheat": (50, 250), "off": None},
    "coffee_maker": {"brew": (1, 8), "off": None},
    "alarm": {"arm": None, "disarm": None},
    "sprinkler": {"on": (1, 60), "off": None},
}

# Actions that take a value but may go without (null).
OPTIONAL_VALUE: Final = frozenset(
    {
        ("thermostat", "raise"),
        ("thermostat", "lower"),
        ("speaker", "play"),
        ("coffee_maker", "brew"),
        ("sprinkler", "on"),
    }
)


def action(device: str, room: str, name: str, value: Value) -> str:
    """The canonical JSON line of one action."""
    return json.dumps({"device": device, "room": room, "action": name, "value": value}, separators=(",", ":"))


def refusal(reason: str) -> str:
    """The canonical JSON line of a refusal for `reason`."""
    return action("none", "none", "refuse", reason)


def problems(answer: str) -> list[str]:
    """What keeps `answer` from being a canonical action of the schema; empty when it is one."""
    try:
        parsed = json.loads(answer)
    except (ValueError, RecursionError):
        return ["not JSON"]
    if not isinstance(parsed, dict) or list(parsed) != ["device", "room", "action", "value"]:
        return ["keys are not device, room, action, value"]
    device, room, name, value = parsed.values()
    if not all(isinstance(text, str) for text in (device, room, name)):
        return ["device, room and action must be strings"]
    wrong = _refusal_problems(room, name, value) if device == "none" else _action_problems(device, room, name, value)
    if not wrong and answer != action(device, room, name, value):
        wrong.append("not in canonical form")
    return wrong


def is_action(answer: str) -> bool:
    """Whether `answer` is a canonical action or refusal of the schema."""
    return not problems(answer)


def _refusal_problems(room: str, name: str, value: object) -> list[str]:
    """What is wrong with a refusal."""
    wrong = []
    if room != "none":
        wrong.append("a refusal has room none")
    if name != "refuse":
        wrong.append("device none must refuse")
    if value not in REASONS:
        wrong.append(f"unknown reason {value!r}")
    return wrong


def _action_problems(device: str, room: str, name: str, value: object) -> list[str]:
    """What is wrong with an action on a device."""
    wrong = [] if room in ROOMS else [f"unknown room {room!r}"]
    if device not in SCHEMA:
        return [*wrong, f"unknown device {device!r}"]
    if name not in SCHEMA[device]:
        return [*wrong, f"{device} has no action {name!r}"]
    allowed = SCHEMA[device][name]
    optional = value is None and (allowed is None or (device, name) in OPTIONAL_VALUE)
    if not optional and not _in_range(value, allowed):
        wrong.append(f"value {value!r} is not allowed for {device} {name}")
    return wrong


def _in_range(value: object, allowed: Range) -> bool:
    """Whether `value` is one of the allowed words or a whole number in the allowed range."""
    if allowed is None or isinstance(value, bool):
        return False
    low, high = allowed[0], allowed[-1]
    if isinstance(low, int) and isinstance(high, int):
        return isinstance(value, int) and low <= value <= high
    return value in allowed
