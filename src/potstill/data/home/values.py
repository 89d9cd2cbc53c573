"""Values of actions: what to ask for (inside the range or outside it) and how people say it."""

from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

from potstill.data.home.actions import COLORS, GENRES, SPEEDS

_ONES: Final = tuple(
    """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
    """.split()
)
_TENS: Final = ("", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


class Spoken(NamedTuple):
    """A value and the words that say it."""

    value: int | str
    text: str


def words(number: int, joiner: str = "-", link: str = " ") -> str:
    """`number` (any whole number below a million) in English words."""
    if number < 0:
        return "minus " + words(-number, joiner, link)
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, rest = divmod(number, 10)
        return _TENS[tens] + (joiner + _ONES[rest] if rest else "")
    unit, name = (100, "hundred") if number < 1000 else (1000, "thousand")
    count, rest = divmod(number, unit)
    return f"{words(count, joiner, link)} {name}" + (link + words(rest, joiner, link) if rest else "")


def spell(rng: Random, number: int) -> str:
    """`number` in words the way people vary them ("a hundred and twenty", "twenty two")."""
    text = words(number, "-" if rng.random() < 0.5 else " ", " " if rng.random() < 0.6 else " and ")
    if text.startswith(("one hundred", "one thousand")) and rng.random() < 0.4:
        text = "a" + text[3:]
    return text


def numeral(rng: Random, number: int, spelled: float = 0.3) -> str:
    """`number` in digits, or in words with chance `spelled`."""
    if rng.random() < spelled:
        return spell(rng, number)
    if number < 0 and rng.random() < 0.5:
        return f"minus {-number}"
    return str(number)


def _with_unit(rng: Random, number: int, unit: tuple[str, ...], symbol: tuple[str, ...], bare: float) -> str:
    """A number with a unit; symbols only follow digits."""
    text = numeral(rng, number)
    if rng.random() < bare:
        return text
    if text[-1].isdigit() and symbol and rng.random() < 0.45:
        return text + rng.choice(symbol)
    name = rng.choice(unit)
    return f"{text} {name[:-1] if number == 1 and name == 'degrees' else name}"


def percent(rng: Random, number: int) -> str:
    """A percentage."""
    return _with_unit(rng, number, ("percent", "percent", "percent", "per cent"), ("%", "%", "%", " %"), 0.15)


def volume(rng: Random, number: int) -> str:
    """A volume level, mostly without a unit."""
    if rng.random() < 0.06:
        return "level " + numeral(rng, number)
    return _with_unit(rng, number, ("percent",), ("%",), 0.6)


_DEGREES: Final = ("degrees", "degrees", "degrees", "degrees", "degrees Celsius", "degrees C", "Celsius")
_DEGREE_SIGNS: Final = ("°", "°C", " C", "C", " °C")


def degrees(rng: Random, number: int) -> str:
    """A temperature."""
    return _with_unit(rng, number, _DEGREES, _DEGREE_SIGNS, 0.25)


def steps(rng: Random, number: int) -> str:
    """A difference of temperature."""
    if number == 1 and rng.random() < 0.3:
        return "a degree"
    if number == 2 and rng.random() < 0.3:
        return rng.choice(("a couple of degrees", "a couple degrees"))
    return _with_unit(rng, number, ("degrees",) * 6 + ("degrees Celsius",), ("°", "°C", " C"), 0.1)


def oven_degrees(rng: Random, number: int) -> str:
    """An oven temperature; round ones also as "one eighty"."""
    if 110 <= number < 250 and number % 100 and rng.random() < 0.06:
        hundreds, rest = divmod(number, 100)
        if rest >= 10:
            return f"{words(hundreds)} {words(rest)}" + rng.choice((" degrees", ""))
    return degrees(rng, number)


def cups(rng: Random, number: int) -> str:
    """A number of cups."""
    if number == 1:
        return rng.choice(("one cup", "a cup", "1 cup", "a single cup", "a mug", "just one cup"))
    if number == 2 and rng.random() < 0.25:
        return rng.choice(("a couple of cups", "a couple cups"))
    return numeral(rng, number, 0.5) + rng.choice((" cups", " cups", " cups", " cups", " mugs"))


_SPANS: Final = {
    15: ("a quarter of an hour", "a quarter hour"),
    30: ("half an hour", "a half hour", "half an hour"),
    60: ("an hour", "one hour", "1 hour", "a full hour"),
    90: ("an hour and a half", "1.5 hours", "one and a half hours"),
}


def minutes(rng: Random, number: int) -> str:
    """A span of time, in hours where that is usual."""
    if number in _SPANS and rng.random() < 0.5:
        return rng.choice(_SPANS[number])
    if number > 60 and number % 60 == 0 and rng.random() < 0.7:
        return numeral(rng, number // 60, 0.5) + " hours"
    unit = "minute" if number == 1 else rng.choice(("minutes", "minutes", "minutes", "mins", "min"))
    return f"{numeral(rng, number)} {unit}"


def plain(rng: Random, word: str) -> str:
    """A word as it is; warm light has a longer name too."""
    return "warm white" if word == "warm" and rng.random() < 0.4 else word


class Kind(NamedTuple):
    """How the values of an action are drawn and said."""

    low: int
    high: int
    say: Callable[[Random, int], str]
    round_to: int
    below: tuple[int, ...]
    above: tuple[int, ...]
    special: tuple[Spoken, ...] = ()


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers in a text."""
    return tuple(int(word) for word in text.split())


def _texts(text: str) -> tuple[str, ...]:
    """The parts of a text between commas."""
    return tuple(part.strip() for part in text.split(","))


_FULL: Final = tuple(Spoken(100, word) for word in ("full", "max", "maximum", "full", "the maximum", "the max"))
_HALF: Final = (Spoken(50, "half"),) * 4
_VOLUME_WORDS: Final = (
    *_FULL,
    *_HALF,
    Spoken(100, "full volume"),
    Spoken(100, "maximum volume"),
    Spoken(50, "half volume"),
)
_BRIGHTNESS_WORDS: Final = (
    *_FULL,
    *_HALF,
    Spoken(100, "full brightness"),
    Spoken(100, "maximum brightness"),
    Spoken(50, "half brightness"),
    Spoken(100, "max brightness"),
    Spoken(25, "a quarter"),
)
_POSITION_WORDS: Final = (*_FULL, *_HALF, *_HALF, Spoken(50, "halfway"), Spoken(50, "half way"))

_NEGATIVE: Final = _numbers("-1 -2 -5 -5 -8 -10 -10 -15 -20 -30 -40 -50 -100")
_BIG: Final = _numbers("""
    101 105 110 120 125 130 140 150 150 160 175 180 200 200 220 250 300 300 350 400 500 500 600 700 750 800 900 999 1000
    1000 2000 5000 10000
""")
_MORE: Final = _numbers("11 12 13 14 15 15 16 18 20 20 25 30 40 50 100")
_COLD: Final = (*_numbers("0 1 2 3 4 5 5 6 7 8 9"), *_NEGATIVE)
_HOT: Final = _numbers("""
    31 32 33 34 35 36 38 40 40 42 45 50 50 55 60 65 70 72 75 80 85 90 90 95 99 100 100 110 120 150 200 250 300 400 500
    1000
""")
_COOL_OVEN: Final = _numbers("0 1 2 3 5 5 8 10 10 12 15 20 20 25 30 30 35 40 40 45 48 49")
_HOT_OVEN: Final = _numbers("""
    251 255 260 270 275 280 290 300 300 310 320 325 350 350 375 400 400 425 450 500 500 550 600 700 750 800 900 900 999
    1000 1000 1200 1500 2000 3000 5000
""")
_MANY_CUPS: Final = _numbers("""
    9 9 10 10 11 12 12 13 14 15 16 18 20 20 24 25 30 40 50 50 60 80 99 100 100 200 500 1000
""")
_LONG: Final = _numbers("""
    61 62 65 70 75 80 90 90 95 99 100 120 120 120 150 180 180 200 240 240 300 300 360 400 480 500 600 600 720 900 999
    1000 1440
""")

KINDS: Final[dict[str, Kind]] = {
    "light.set_brightness": Kind(1, 100, percent, 5, (0, 0, 0, *_NEGATIVE), _BIG, _BRIGHTNESS_WORDS),
    "thermostat.set_temperature": Kind(10, 30, degrees, 1, _COLD, _HOT),
    "thermostat.raise": Kind(1, 10, steps, 1, (11,), _MORE),
    "thermostat.lower": Kind(1, 10, steps, 1, (11,), _MORE),
    "blinds.set_position": Kind(0, 100, percent, 5, _NEGATIVE, _BIG, _POSITION_WORDS),
    "tv.set_volume": Kind(0, 100, volume, 5, _NEGATIVE, _BIG, _VOLUME_WORDS),
    "speaker.set_volume": Kind(0, 100, volume, 5, _NEGATIVE, _BIG, _VOLUME_WORDS),
    "oven.preheat": Kind(50, 250, oven_degrees, 10, _COOL_OVEN, _HOT_OVEN),
    "coffee_maker.brew": Kind(1, 8, cups, 1, (0, 0), _MANY_CUPS),
    "sprinkler.on": Kind(1, 60, minutes, 5, (0,), _LONG),
}

WORDS_IN: Final[dict[str, tuple[str, ...]]] = {
    "light.set_color": COLORS,
    "fan.set_speed": SPEEDS,
    "speaker.play": GENRES[:4],
}
WORDS_OUT: Final[dict[str, tuple[str, ...]]] = {
    "light.set_color": _texts(
        "pink, brown, black, turquoise, cyan, gold, silver, magenta, teal, gray, grey, beige, indigo, lavender, "
        "rainbow, maroon, hot pink"
    ),
    "fan.set_speed": _texts(
        "turbo, level 9, level 10, speed 12, speed 9, level 20, 300 percent, 500%, ultra, hyper speed, level 15, "
        "speed 100, level 100, one thousand percent"
    ),
    "speaker.play": _texts(
        "metal, heavy metal, country, hip hop, blues, reggae, techno, folk, soul, punk, opera, rap, disco, salsa, "
        "house, electronic, funk, indie, latin, gospel"
    ),
}
_FAST: Final = (Spoken("high", "full"), Spoken("high", "maximum"), Spoken("high", "max"), Spoken("high", "full blast"))


def draw(rng: Random, name: str, loose: bool) -> Spoken:
    """A value inside the range of the action `name`; `loose` also allows words such as "half" and "full"."""
    if name in WORDS_IN:
        word = rng.choice(WORDS_IN[name])
        if loose and name == "fan.set_speed" and rng.random() < 0.12:
            return rng.choice(_FAST)
        return Spoken(word, plain(rng, word))
    kind = KINDS[name]
    if loose and kind.special and rng.random() < 0.22:
        return rng.choice(kind.special)
    number = rng.randint(kind.low, kind.high)
    if rng.random() < 0.55:
        number = max(kind.low, number - number % kind.round_to)
    return Spoken(number, kind.say(rng, number))


def draw_outside(rng: Random, name: str) -> Spoken:
    """A value outside the range of the action `name`."""
    if name in WORDS_OUT:
        word = rng.choice(WORDS_OUT[name])
        return Spoken(word, word)
    kind = KINDS[name]
    number = _outside(rng, kind)
    return Spoken(number, kind.say(rng, number))


def _outside(rng: Random, kind: Kind) -> int:
    """A number below (one in four) or above the range, near it or far from it."""
    if kind.below[0] < kind.low and rng.random() < (0.06 if len(kind.below) < 3 else 0.28):
        return rng.choice(kind.below)
    if rng.random() < 0.5:
        return rng.choice(kind.above)
    top = kind.high * 4 if kind.high > 30 else kind.high * 5
    return rng.randint(kind.high + 1, top)
