"""What is sent of an answer that grows is never taken back."""

from __future__ import annotations

import itertools
import random

from potstill.serving.settled_text import settled


def test_half_a_character_and_the_beginning_of_a_stop_wait() -> None:
    assert settled("caf\ufffd", []) == "caf"
    assert settled("one <en", ["<end>"]) == "one "
    assert settled("one <em", ["<end>"]) == "one <em"
    assert settled("one <end> two", ["<end>"]) == "one "
    assert settled("aab", ["ab", "bb"]) == "a"


def test_it_only_grows_and_ends_where_the_first_stop_begins() -> None:
    draw = random.Random(0)
    for _ in range(500):
        text = "".join(draw.choice("ab") for _ in range(12))
        stops = ["".join(draw.choice("ab") for _ in range(draw.randint(1, 4))) for _ in range(2)]
        # an answer ends with the token that completes a stop
        ends = [length for length in range(len(text) + 1) if any(stop in text[:length] for stop in stops)]
        text = text[: ends[0]] if ends else text
        shown = [settled(text[:length], stops) for length in range(len(text) + 1)]
        assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(shown))
        if ends:
            assert shown[-1] == text[: min(text.index(stop) for stop in stops if stop in text)]
