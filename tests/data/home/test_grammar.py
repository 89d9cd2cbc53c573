"""Tests of the home-assistant grammar."""

import json
import re
from collections import Counter

import pytest

from potstill.data.home.actions import SCHEMA, action, is_action, problems, refusal
from potstill.data.home.dressing import gerund
from potstill.data.home.frames import all_frames, frames_of, is_reserved
from potstill.data.home.grammar import Split, commands
from potstill.data.home.things import THINGS
from potstill.data.home.values import words

PAIRS = [(device, name) for device, actions in SCHEMA.items() for name in actions]


def test_action_is_canonical() -> None:
    text = action("light", "kitchen", "set_brightness", 40)
    assert text == '{"device":"light","room":"kitchen","action":"set_brightness","value":40}'
    assert is_action(text)
    assert is_action(refusal("unknown_device"))
    assert is_action(action("speaker", "home", "play", None))


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "nonsense",
        "[]",
        "3",
        '{"device":"light"}',
        "[" * 100_000,
        '{"device": "light", "room": "kitchen", "action": "on", "value": null}',
        '{"room":"kitchen","device":"light","action":"on","value":null}',
        action("light", "attic", "on", None),
        action("light", "none", "on", None),
        action("light", "kitchen", "dance", None),
        action("kettle", "kitchen", "on", None),
        action("light", "kitchen", "on", 4),
        action("light", "kitchen", "set_brightness", 0),
        action("light", "kitchen", "set_brightness", None),
        action("oven", "home", "preheat", 251),
        action("light", "kitchen", "set_color", "pink"),
        action("none", "kitchen", "refuse", "out_of_range"),
        action("none", "none", "refuse", "tired"),
        action("none", "none", "on", "out_of_range"),
        '{"device":"light","room":"kitchen","action":"set_brightness","value":true}',
        '{"device":"light","room":"kitchen","action":"set_brightness","value":[40]}',
        '{"device":["light"],"room":"kitchen","action":"on","value":null}',
        '{"device":"none","room":"none","action":"refuse","value":["out_of_range"]}',
    ],
)
def test_problems_are_found(answer: str) -> None:
    assert problems(answer)


@pytest.mark.parametrize("split", ["train", "test"])
def test_commands_are_deterministic_distinct_and_valid(split: Split) -> None:
    actual = list(commands(4000, 7, split))
    assert actual == list(commands(4000, 7, split))
    assert actual != list(commands(4000, 8, split))
    assert len({command.instruction for command in actual}) == 4000
    for command in actual:
        assert problems(command.output) == [], command
        assert not re.search(r"[{}|()%](?<!\d%)(?<!\d %)|  |^\s|\s$|None", command.instruction), command


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_action_and_reason_occurs(split: Split) -> None:
    seen: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for command in commands(15_000, 3, split):
        parsed = json.loads(command.output)
        seen[f"{parsed['device']}.{parsed['action']}"] += 1
        if parsed["device"] == "none":
            refused[parsed["value"]] += 1
    assert all(seen[f"{device}.{name}"] > 150 for device, name in PAIRS)
    assert 0.1 < seen["none.refuse"] / 15_000 < 0.25
    assert len(refused) == 3
    assert min(refused.values()) > 300


def test_splits_share_no_frame() -> None:
    train = {command.phrase for command in commands(5000, 1, "train")}
    test = {command.phrase for command in commands(5000, 1, "test")}
    assert not train & test
    assert all(is_reserved(name) for name in test)
    assert not any(is_reserved(name) for name in train)


def test_frames_are_many_and_split_everywhere() -> None:
    for group, frames in all_frames().items():
        train, test = frames_of("train")[group], frames_of("test")[group]
        assert len(train) > 50, group
        assert len(test) >= 5, group
        assert len(train) + len(test) == len(frames)
    cores = {frame.name.rsplit("@", 1)[0] for frames in all_frames().values() for frame in frames}
    assert len(cores) > 600
    assert len(set(THINGS)) > 150


def test_held_out_words_occur_in_training() -> None:
    known: Counter[str] = Counter()
    for command in commands(60_000, 1, "train"):
        known.update(re.findall(r"[a-z']+", command.instruction.lower()))
    tested = " ".join(command.instruction.lower() for command in commands(3000, 2, "test"))
    held = re.findall(r"[a-z']+", tested)
    assert sum(word in known for word in held) / len(held) > 0.995


def test_one_sentence_has_one_action() -> None:
    answers: dict[str, str] = {}
    splits: tuple[Split, ...] = ("train", "test")
    for split in splits:
        for command in commands(30_000, 11, split):
            key = " ".join(re.sub(r"[^\w\s%°-]", " ", command.instruction.lower()).split())
            assert answers.setdefault(key, command.output) == command.output, command


def test_small_helpers() -> None:
    assert words(22) == "twenty-two"
    assert words(180, link=" and ") == "one hundred and eighty"
    assert words(1000) == "one thousand"
    assert words(-5) == "minus five"
    assert [gerund(verb) for verb in ("turn", "make", "set", "see", "dim")] == [
        "turning",
        "making",
        "setting",
        "seeing",
        "dimming",
    ]
