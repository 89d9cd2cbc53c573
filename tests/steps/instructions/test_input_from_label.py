"""Texts for labels: enough for each, new within the label, and nothing asked twice."""

from __future__ import annotations

from pathlib import Path

import pytest

import fakes
from potstill.errors import BadInput
from potstill.steps.instructions.input_from_label import InputFromLabel
from potstill.steps.loading.in_memory import LoadRows
from potstill.teachers.protocol import Request
from scripted import Scripted, asks, run

SEEDS = [
    {"instruction": "turn on the lamp", "label": "light_on"},
    {"instruction": "lights please", "label": "light_on"},
    {"instruction": "play some jazz", "label": "music"},
]


def step(per_label: int = 12, teacher=None, **parameters):
    return InputFromLabel(
        LoadRows(SEEDS), teacher=teacher or fakes.EchoTeacher(lines=10), per_label=per_label, **parameters
    )


def test_each_label_gets_its_number(tmp_path: Path) -> None:
    rows, context = run(step(), tmp_path, rows=SEEDS)
    assert [sum(row["label"] == label for row in rows) for label in ("light_on", "music")] == [12, 12]
    assert len({row["instruction"] for row in rows} | {seed["instruction"] for seed in SEEDS}) == 27
    assert len({row["id"] for row in rows}) == 24
    assert context.ledger.kept == 24


def test_more_asks_only_for_what_is_new(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    teacher = fakes.EchoTeacher(lines=10, log=log)
    few, _ = run(step(10, teacher), tmp_path, rows=SEEDS)
    many, _ = run(step(25, teacher), tmp_path, rows=SEEDS)
    assert {row["id"] for row in few} <= {row["id"] for row in many}
    assert len(set(fakes.calls(log))) == len(fakes.calls(log))


def test_the_prompt_shows_the_labels_own_rows(tmp_path: Path) -> None:
    prompts: list[str] = []

    def say(request: Request) -> str:
        prompts.append(asks(request))
        return f"- something new and special {len(prompts)} {'abcdefgh'[len(prompts) % 8]}"

    run(step(1, Scripted(say=say), descriptions={"music": "playing songs"}), tmp_path, rows=SEEDS)
    light, music = prompts[:2]
    assert 'category "light on"' in light
    assert "- turn on the lamp" in light
    assert "jazz" not in light
    assert "(playing songs)" in music


def test_what_is_dropped_is_counted_and_a_dry_label_is_given_up(tmp_path: Path) -> None:
    said = "1. turn on the lamp\n2. Turn on a lamp\n3. go\n4. " + "word " * 70 + "\n5. dim all the bulbs"
    rows, context = run(step(2, Scripted(say=lambda _: said), patience=2), tmp_path, rows=SEEDS)
    assert [row["instruction"] for row in rows if row["label"] == "light_on"] == ["dim all the bulbs"]
    assert context.ledger.counts()["failed"] == {"nothing new for the label": 2}
    filtered = context.ledger.counts()["filtered"]
    assert {"duplicate", "not novel", "too short", "too long"} <= set(filtered)


def test_labels_may_be_numbers_and_columns_have_other_names(tmp_path: Path) -> None:
    rows = [{"text": "turn it on", "intent": 3}]
    result = InputFromLabel(
        LoadRows(rows), teacher=fakes.EchoTeacher(lines=5), per_label=2, column="text", label="intent"
    )
    actual, _ = run(result, tmp_path, rows=rows)
    assert [set(row) for row in actual] == [{"id", "text", "intent"}] * 2
    assert actual[0]["intent"] == 3


def test_a_description_of_no_label(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="musik"):
        run(step(descriptions={"musik": "songs"}), tmp_path, rows=SEEDS)
