"""Instructions grow from seeds: the same for the same seed, a prefix for a smaller target, and nothing asked twice."""

from __future__ import annotations

import doctest
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

import fakes
from fakes import EchoTeacher, context_in
from potstill.errors import BadInput, PotstillError
from potstill.steps import LoadSeeds, SelfInstruct
from potstill.steps.generation import list_parsers
from potstill.steps.generation.list_parsers import parse_list
from potstill.steps.instructions.pool import Pool
from potstill.steps.instructions.rules import Rules
from potstill.steps.instructions.self_instruct import PAPER_SAMPLING
from potstill.teachers.protocol import Response, Sampling
from scripted import Scripted, run

SEEDS = ["turn on the light now", "close all of the blinds", "please lock the front door", "play some quiet jazz music"]


def step(teacher: Any, target: int = 20, **parameters: Any) -> SelfInstruct:
    return SelfInstruct(LoadSeeds("unused"), teacher=teacher, target=target, **{"prompts_per_round": 4, **parameters})


def grow(tmp_path: Path, made: SelfInstruct, seeds: list[str] = SEEDS) -> list[dict[str, Any]]:
    rows = Dataset.from_dict({"instruction": seeds})
    return list(made.run(seeds=rows, teacher=made.teacher, context=context_in(tmp_path)))


def test_it_reaches_the_target_with_new_rows_only(tmp_path: Path) -> None:
    rows = grow(tmp_path, step(EchoTeacher(lines=8)))
    assert len(rows) == 20
    assert len({row["instruction"] for row in rows} | set(SEEDS)) == 24
    assert len({row["id"] for row in rows}) == 20
    assert {row["origin"] for row in rows} == {"teacher"}
    assert rows[0]["round"] == 1


def test_a_smaller_target_is_a_prefix_and_a_larger_one_asks_only_for_what_is_new(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    teacher = EchoTeacher(lines=8, log=log)
    small = grow(tmp_path, step(teacher, 40))
    asked = len(fakes.calls(log))
    large = grow(tmp_path, step(teacher, 120))
    assert large[:40] == small
    assert len(fakes.calls(log)) > asked
    assert len(set(fakes.calls(log))) == len(fakes.calls(log))
    assert grow(tmp_path / "fresh", step(EchoTeacher(lines=8), 120)) == large


def test_the_seed_changes_the_result(tmp_path: Path) -> None:
    first = grow(tmp_path / "a", step(EchoTeacher(lines=8)))
    assert first == grow(tmp_path / "b", step(EchoTeacher(lines=8)))
    assert first != grow(tmp_path / "c", step(EchoTeacher(lines=8), seed=1))


def test_editing_a_filter_asks_the_teacher_nothing_for_the_rounds_it_does_not_change(tmp_path: Path) -> None:
    log = str(tmp_path / "calls")
    teacher = EchoTeacher(lines=8, log=log)
    grow(tmp_path, step(teacher, 20, machine_examples=0))
    asked = len(fakes.calls(log))
    grow(tmp_path, step(teacher, 20, machine_examples=0, novelty=0.9, max_words=50))
    assert len(fakes.calls(log)) == asked


def test_progress_counts_instructions_not_responses(tmp_path: Path) -> None:
    reported: list[tuple[int, int | None]] = []

    def progress(done: int, total: int | None = None, **_: Any) -> None:
        reported.append((done, total))

    result = step(EchoTeacher(lines=8), target=20)
    rows = Dataset.from_dict({"instruction": SEEDS})
    context = replace(context_in(tmp_path), progress=progress)
    assert len(list(result.run(seeds=rows, teacher=result.teacher, context=context))) == 20
    assert reported[-1] == (20, 20)
    assert {total for _, total in reported} == {20}


def test_the_prompt_shows_mostly_seeds_and_some_machine_made(tmp_path: Path) -> None:
    result = step(EchoTeacher(lines=8), examples=4, machine_examples=1)
    pool = Pool(result.rules, result.novelty, context_in(tmp_path))
    for text in [*SEEDS, SEEDS[0].upper()]:
        pool.add_seed(text)
    assert len(pool.seeds) == 4
    first = [list(asked) for asked in result._requests(pool, 1)]
    assert all(text in first[0][1].messages[0]["content"] for text in SEEDS)
    assert "4. " in first[0][1].messages[0]["content"]
    assert pool.accept("dim every lamp in the hall", "here")
    shown = [request.messages[0]["content"] for _, request in result._requests(pool, 2)]
    assert all("dim every lamp in the hall" in text for text in shown)
    assert all(sum(seed in text for seed in SEEDS) == 3 for text in shown)
    assert len({request.seed for _, request in result._requests(pool, 2)}) == 4


def test_what_is_dropped_is_counted_with_the_reason(tmp_path: Path) -> None:
    context = context_in(tmp_path)
    pool = Pool(Rules(max_words=8), 0.7, context)
    pool.add_seed("turn on the light in the big kitchen")
    assert not pool.accept("turn on", "a")
    assert not pool.accept("one two three four five six seven eight nine", "b")
    assert not pool.accept("Turn on the light in the BIG kitchen", "c")
    assert not pool.accept("turn on the lamp in the big kitchen", "d")
    assert pool.accept("open the blinds of the study", "e")
    assert not pool.accept("open the blinds of the study", "f")
    assert pool.parse(Response("1. a b c d\n2. cut o", "length"), "g") == ["a b c d"]
    assert pool.parse(Response("", "stop"), "h") == []
    expected = {
        "too short": 1,
        "too long": 1,
        "duplicate": 2,
        "not novel": 1,
        "cut at max_tokens": 1,
        "no list in the answer": 1,
    }
    assert context.ledger.counts()["filtered"] == dict(sorted(expected.items()))
    assert pool.dropped == expected


def test_a_teacher_with_nothing_new_ends_the_step_and_says_which_filter_took_how_many(tmp_path: Path) -> None:
    with pytest.raises(PotstillError, match=r"of 20 instructions after \d+ rounds.*too short \d+") as caught:
        grow(tmp_path, step(EchoTeacher(lines=8, words=2), patience=3))
    assert "Lower target" in str(caught.value)


def test_a_failing_prompt_is_lost_alone(tmp_path: Path) -> None:
    context = context_in(tmp_path)
    # a prompt of the first round holds this seed only when it was drawn
    result = step(EchoTeacher(lines=8, failing=(SEEDS[0],)), examples=3, machine_examples=0, max_failed=1.0)
    rows = list(result.run(seeds=Dataset.from_dict({"instruction": SEEDS}), teacher=result.teacher, context=context))
    assert len(rows) == 20
    assert context.ledger.total("retryable") > 0
    assert context.ledger.kept == 20


def test_seeds_may_be_included(tmp_path: Path) -> None:
    rows = grow(tmp_path, step(EchoTeacher(lines=8), include_seeds=True))
    assert [row["instruction"] for row in rows[:4]] == SEEDS
    assert [row["origin"] for row in rows].count("seed") == 4
    assert len(rows) == 24


def test_the_papers_parameters_are_the_defaults() -> None:
    result = SelfInstruct(LoadSeeds("unused"), teacher=EchoTeacher(), target=1)
    assert (result.examples, result.machine_examples, result.novelty, result.min_words, result.max_words) == (
        8,
        2,
        0.7,
        4,
        150,
    )
    assert {"image", "graphs", "draw", "go to"} <= set(result.blocked_words)
    assert result.blocked_starts == ("Write a program",)


def test_the_papers_sampling_is_had_by_name(tmp_path: Path) -> None:
    result = step(EchoTeacher(lines=8), **PAPER_SAMPLING)
    pool = Pool(result.rules, result.novelty, context_in(tmp_path))
    for text in SEEDS:
        pool.add_seed(text)
    asked = {request.sampling for _, request in result._requests(pool, 1)}
    assert asked == {Sampling(0.7, 0.5, 1024, ("\n\n", "\n16", "16.", "16 ."), presence_penalty=2.0)}
    assert not result.keep_cut


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Describe the PICTURE in two words", "blocked word"),
        ("First go to the big shop", "blocked word"),
        ("Compare these two filenames with care", ""),
        ("Imagine a story about a fox", ""),
        ("Write a program that adds numbers", "blocked beginning"),
        ("(Optional) name one more example", "starts with punctuation"),
        ("Übersetze diesen Satz ins Englische", ""),
        ("将这个句子翻译成英语", ""),
        ("👍 Translate this sentence now", "starts with punctuation"),
        ("Übersetze", "too short"),
    ],
)
def test_the_rules_of_the_paper(text: str, reason: str) -> None:
    assert Rules().objection(text) == reason
    assert not Rules(1, 150, (), (), plain_start=False).objection(text)


def test_filters_are_counted_and_can_be_switched_off(tmp_path: Path) -> None:
    teacher = Scripted(
        say=lambda request: f"1. draw all the curtains {request.seed}\n2. wash the {request.seed} plates now"
    )
    result = SelfInstruct(LoadSeeds("unused"), teacher=teacher, target=3, novelty=1)
    rows, context = run(result, tmp_path, seeds=[{"instruction": text} for text in SEEDS])
    assert not [row for row in rows if "draw" in row["instruction"]]
    assert context.ledger.counts()["filtered"]["blocked word"] == 3
    assert context.notes["pool"]["after_each_round"] == [3]
    free = SelfInstruct(LoadSeeds("unused"), teacher=teacher, target=3, novelty=1, blocked_words=())
    rows, _ = run(free, tmp_path, seeds=[{"instruction": text} for text in SEEDS])
    assert [row for row in rows if "draw" in row["instruction"]]


def test_a_cut_response_may_be_dropped_whole(tmp_path: Path) -> None:
    context = context_in(tmp_path)
    pool = Pool(Rules(), 0.7, context)
    assert pool.parse(Response("1. a b c d\n2. cut o", "length"), "g", keep_cut=False) == []
    assert context.ledger.counts()["filtered"] == {"cut at max_tokens": 1}


def test_no_seeds(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no seed"):
        grow(tmp_path, step(EchoTeacher()), ["  "])


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("1. a b\n2. c d", ["a b", "c d"]),
        ("9) a b\n10) c d\n", ["a b", "c d"]),
        ("(1) a\n(2) b", ["a", "b"]),
        ("- a\n* b\n• c", ["a", "b", "c"]),
        ("Here are some:\n\n1. a\n2. b\n", ["a", "b"]),
        ("1. a\n   goes on\n2. b", ["a goes on", "b"]),
        ('1. "a b"\n2. **c**\n3. `d`', ["a b", "c", "d"]),
        ("a\n\nb", ["a", "b"]),
        ("1.\n2. a", ["a"]),
        ("1. set it to 21.5 degrees", ["set it to 21.5 degrees"]),
        ("1. a\n2. b\n\nLet me know if you need more!", ["a", "b"]),
        ("1. a\n\n   goes on\n\n2. b\n\n   goes on", ["a goes on", "b goes on"]),
        ("1. a\n\ngoes on", ["a goes on"]),
        ("```text\n1. a\n---\n2. b\n```", ["a", "b"]),
        ('```json\n["a b", "c\\nd"]\n```', ["a b", "c d"]),
        ('["a", "b"]', ["a", "b"]),
        ("[1] a\n[2] b", ["[1] a", "[2] b"]),
        ("1. choose:\n   - x\n   - y\n2. b", ["choose: - x - y", "b"]),
        ("- a\n- b\n3. c", ["a", "b", "c"]),
        ("**1.** a\n**2)** b", ["a", "b"]),
        ("1、打开灯\n2、关灯", ["打开灯", "关灯"]),
        ("1．打开灯\n2.关灯", ["打开灯", "关灯"]),  # noqa: RUF001
        ("\u2460 打开灯\n\u2461关灯", ["打开灯", "关灯"]),
        ("20 minutes on the timer", ["20 minutes on the timer"]),
        ("", []),
    ],
)
def test_lists_are_read_however_they_are_numbered(text: str, items: list[str]) -> None:
    assert parse_list(text) == items


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(list_parsers).failed == 0


def test_wrong_parameters_are_named() -> None:
    fields = {problem.field for problem in step(42, min_words=9, max_words=3, examples=2).check()}
    assert fields == {"teacher", "min_words", "machine_examples"}
