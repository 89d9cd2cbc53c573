"""What goes around a core phrasing: polite frames, wake words, circumstances, thanks, casing and punctuation."""

import re
from functools import cache
from random import Random
from typing import Final

from potstill.data.home.filling import Filling
from potstill.data.home.frames import Frame
from potstill.data.home.lexicon import FIXES, PAUSED, POLITE, REASONS, SETTINGS, SIGHS, TAILS, WAKES

_QUESTION: Final = re.compile(r"(can|could|what|what's|who|how|how's|will|when|where|is|may|why|shall|did)\b", re.I)
_DOUBLED: Final = frozenset(
    """
    get set shut put stop cut dim run let begin flip drop hit hum sit quit pop rip knit swim hug chat trim pet rub plug
    unplug skip wrap hop
    """.split()
)
_SPACES: Final = re.compile(r"\s+([,.?!:]|$)|\s{2,}")


@cache
def gerund(verb: str) -> str:
    """The -ing form of a verb."""
    if verb in _DOUBLED:
        return f"{verb}{verb[-1]}ing"
    if verb.endswith("e") and not verb.endswith(("ee", "ye", "be")):
        return verb[:-1] + "ing"
    return verb + "ing"


def dress(rng: Random, frame: Frame, filling: Filling) -> str:
    """The whole command as somebody might say or type it."""
    core, place = filling.core(), filling.place()
    if frame.place in ("tail", "whole", "here", "baretail"):
        core = f"{core}, {place}" if frame.place == "baretail" and rng.random() < 0.3 else f"{core} {place}"
    text, asks = _framed(rng, frame.kind, core)
    if frame.place in ("front", "barefront"):
        text = f"{place}{rng.choice((',', ':') if frame.kind == 't' else (',', ',', ''))} {text}"
    if frame.kind == "c":
        text = f"{rng.choice(SIGHS)} {text}" if rng.random() < 0.1 else text
    reasons = REASONS.get(frame.group.split("/")[0])
    if reasons and frame.kind in "vt" and rng.random() < 0.06:
        text, asks = _reasoned(rng, text, asks, rng.choice(reasons))
    else:
        text, asks = _tailed(rng, frame.kind, text, asks)
    return _finished(rng, _opened(rng, text), asks)


def _framed(rng: Random, kind: str, core: str) -> tuple[str, bool]:
    """A verb phrase in a polite frame, and whether it is a question; other phrasings as they are."""
    if kind != "v":
        return core, _QUESTION.match(core) is not None
    if rng.random() < 0.42:
        return core, False
    frame = rng.choice(POLITE)
    asks = frame.endswith("?")
    frame = frame.rstrip("?")
    if "%g" in frame:
        verb, _, rest = core.partition(" ")
        return frame.replace("%g", f"{gerund(verb)} {rest}"), asks
    return frame.replace("%v", core), asks


def _reasoned(rng: Random, text: str, asks: bool, reason: str) -> tuple[str, bool]:
    """The command with a reason for it, before or after."""
    draw = rng.random()
    if draw < 0.6:
        return f"{reason}{',' if draw < 0.45 else rng.choice(('.', ' so', ', so', ''))} {text}", asks
    return f"{text}{rng.choice((',', ' because', ' since', ','))} {reason}", asks and draw < 0.8


def _tailed(rng: Random, kind: str, text: str, asks: bool) -> tuple[str, bool]:
    """The command with a closing word of thanks, haste or circumstance now and then."""
    draw = rng.random()
    if kind == "c":
        if draw < 0.12:
            fix = rng.choice(FIXES)
            return f"{text}{rng.choice((',', '.', ''))} {fix.rstrip('?')}", fix.endswith("?")
        return text, asks
    if draw > (0.12 if kind == "s" else 0.22):
        return text, asks
    tail = rng.choice(TAILS)
    if "please" in tail and "please" in text:
        return text, asks
    paused = tail in PAUSED
    comma = "," if paused or rng.random() < 0.3 else ""
    return f"{text}{comma} {tail}", asks or tail.endswith(" you")


def _opened(rng: Random, text: str) -> str:
    """The command after a wake word, a sigh or a circumstance now and then."""
    draw = rng.random()
    if draw < 0.13:
        wake = rng.choice(WAKES)
        return f"{wake if rng.random() < 0.6 else wake[:-1]} {text}"
    if draw < 0.17:
        setting = rng.choice(SETTINGS)
        return f"{setting if rng.random() < 0.8 else setting[:-1]} {text}"
    return text


def _finished(rng: Random, text: str, asks: bool) -> str:
    """The command with tidy spaces, the speaker's casing and a closing mark."""
    text = _SPACES.sub(lambda match: match[1] if match[1] is not None else " ", text).strip()
    draw = rng.random()
    if draw < 0.15:
        text = text.lower()
    elif draw < 0.58:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.04:
        text = text.replace("'", "")
    if rng.random() < 0.05:
        text = text.replace(" the ", " ")
    draw = rng.random()
    if asks:
        return text + ("?" if draw < 0.72 else "." if draw < 0.8 else "")
    return text + ("." if draw < 0.42 else "!" if draw < 0.47 else "")
