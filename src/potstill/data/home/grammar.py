"""Random home-assistant commands with their JSON actions.

A command is a core phrasing (see `phrasings`) filled with a device, a room and a value, then dressed: polite frames,
wake words, circumstances, thanks, casing and punctuation. The held-out unit is the frame, a core phrasing with its room
at one place: about one frame in eight, chosen by a hash of its name, is kept for the test split.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from random import Random
from typing import Final

from potstill.data.home.actions import SCHEMA, action, is_action, problems, refusal
from potstill.data.home.dressing import dress
from potstill.data.home.filling import Filling
from potstill.data.home.frames import UNKNOWN, UNSUPPORTED, Frame, Split, all_frames, frames_of
from potstill.data.home.values import draw, draw_outside, numeral

__all__ = ["SCHEMA", "Command", "Split", "action", "all_frames", "commands", "is_action", "problems", "refusal"]

OUTSIDE: Final = "outside "

# How often each group of phrasings is drawn; 1 where not named. Groups after OUTSIDE ask for values out of range.
_WEIGHTS: Final = {
    "light.on": 1.3,
    "light.off": 1.2,
    "light.set_brightness": 1.4,
    "light.set_color": 1.2,
    "thermostat.set_temperature": 1.4,
    "thermostat.raise/by": 0.8,
    "thermostat.raise/null": 1.1,
    "thermostat.lower/by": 0.8,
    "thermostat.lower/null": 1.1,
    "blinds.set_position": 1.3,
    "speaker.play/genre": 0.9,
    "speaker.play/news": 0.4,
    "speaker.play/null": 0.7,
    "coffee_maker.brew/null": 0.7,
    "coffee_maker.brew/cups": 0.8,
    "sprinkler.on/null": 0.7,
    "sprinkler.on/minutes": 0.8,
    UNKNOWN: 2.7,
    UNSUPPORTED: 2.0,
    OUTSIDE + "light.set_brightness": 0.3,
    OUTSIDE + "light.set_color": 0.06,
    OUTSIDE + "thermostat.set_temperature": 0.4,
    OUTSIDE + "thermostat.raise/by": 0.15,
    OUTSIDE + "thermostat.lower/by": 0.15,
    OUTSIDE + "fan.set_speed": 0.1,
    OUTSIDE + "blinds.set_position": 0.25,
    OUTSIDE + "tv.set_volume": 0.25,
    OUTSIDE + "speaker.set_volume": 0.25,
    OUTSIDE + "speaker.play/genre": 0.06,
    OUTSIDE + "oven.preheat": 0.35,
    OUTSIDE + "coffee_maker.brew/cups": 0.25,
    OUTSIDE + "sprinkler.on/minutes": 0.25,
}


@dataclass(frozen=True)
class Command:
    """A command, the action it asks for, and the name of the phrasing frame that made it."""

    instruction: str
    output: str
    phrase: str


def commands(count: int, seed: int, split: Split) -> Iterator[Command]:
    """`count` distinct commands of a split, the same for the same arguments."""
    rng = Random(f"{split} {seed} {count}")
    pools = _pools(split)
    names = list(pools)
    chances = list(accumulate(_WEIGHTS.get(name, 1.0) for name in names))
    seen: set[str] = set()
    while len(seen) < count:
        name = rng.choices(names, cum_weights=chances)[0]
        frames, cumulative = pools[name]
        command = _command(rng, rng.choices(frames, cum_weights=cumulative)[0], name.startswith(OUTSIDE))
        if command.instruction not in seen:
            seen.add(command.instruction)
            yield command


@cache
def _pools(split: Split) -> dict[str, tuple[tuple[Frame, ...], list[float]]]:
    """The frames of every group of a split with their cumulative weights."""
    pools = dict(frames_of(split))
    for name in [name for name in _WEIGHTS if name.startswith(OUTSIDE)]:
        frames = tuple(frame for frame in pools[name.removeprefix(OUTSIDE)] if _can_exceed(frame))
        pools[name] = frames
    return {name: (frames, _sums(frames)) for name, frames in pools.items() if frames}


def _sums(frames: tuple[Frame, ...]) -> list[float]:
    """The cumulative weights of `frames`."""
    return list(accumulate(frame.weight for frame in frames))


def _can_exceed(frame: Frame) -> bool:
    """Whether a frame has a slot that a value out of range fits."""
    slots = {slot for _, slot in frame.pieces}
    return "lvl" in slots if frame.group == "fan.set_speed" else frame.ranged


def _command(rng: Random, frame: Frame, outside: bool) -> Command:
    """One command made from `frame`, with a value out of range if `outside`."""
    group = frame.group.split("/")[0]
    device, name = group.split(".")
    filling = Filling(rng, frame, "none" if device == "refuse" else device)
    value: int | str | None = None
    if frame.ranged:
        spoken = draw_outside(rng, group) if outside else draw(rng, group, _is_loose(frame))
        value = spoken.value
        filling.value = numeral(rng, value) if isinstance(value, int) and _slots(frame, "num") else spoken.text
    elif frame.fixed is not None:
        value = int(frame.fixed) if frame.fixed.isdigit() else frame.fixed
    text = dress(rng, frame, filling)
    if device == "refuse":
        return Command(text, refusal(name), frame.name)
    output = refusal("out_of_range") if outside else action(device, filling.room, name, value)
    return Command(text, output, frame.name)


def _slots(frame: Frame, slot: str) -> bool:
    """Whether `frame` has the slot."""
    return any(name == slot for _, name in frame.pieces)


def _is_loose(frame: Frame) -> bool:
    """Whether the value may be a word such as "half"."""
    return _slots(frame, "lvl")
