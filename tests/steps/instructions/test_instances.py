"""Instances of tasks: output first for classifications, input first for others, and what is filtered why."""

from __future__ import annotations

from pathlib import Path

import pytest

from growth import assert_linear
from potstill.errors import PotstillError
from potstill.steps.generation.list_parsers import parse_list, parse_records
from potstill.steps.instructions.instance_rules import Instance, contradicts, objection, read_instances
from potstill.steps.instructions.instances import WriteInstances
from potstill.steps.loading.in_memory import LoadRows
from potstill.teachers.protocol import Request, Response
from potstill.text.verbs import verb_and_object
from scripted import Scripted, asks, run

LABELLING = {"id": "c", "instruction": "Is it a fruit?", "is_classification": True}
WRITING = {"id": "w", "instruction": "Shout it.", "is_classification": False}
STEP = {"rows": LoadRows([LABELLING])}


def write(tmp_path: Path, said: str | Response, task: dict = WRITING, **parameters):
    step = WriteInstances(**STEP, teacher=Scripted(say=lambda _: said), **parameters)
    rows, context = run(step, tmp_path, rows=[task])
    return [(row["input"], row["output"]) for row in rows], context


def test_a_classification_is_asked_for_its_labels_first(tmp_path: Path) -> None:
    prompts: dict[str, str] = {}

    def say(request: Request) -> str:
        prompts["c" if "fruit" in asks(request) else "w"] = asks(request)
        return "Output: yes\nInput: pear" if "fruit" in asks(request) else "Input: hey\nOutput: HEY"

    rows, _ = run(WriteInstances(**STEP, teacher=Scripted(say=say)), tmp_path, rows=[LABELLING, WRITING])
    assert [(row["id"], row["input"], row["output"]) for row in rows] == [("c", "pear", "yes"), ("w", "hey", "HEY")]
    assert rows[0]["instruction"] == "Is it a fruit?"
    assert prompts["c"].index("Output: weather") < prompts["c"].index("Input: Storm")
    assert prompts["w"].index("Input: pear, apple, fig") < prompts["w"].index("Output: apple, fig, pear")
    assert prompts["w"].endswith("Task: Shout it.")


def test_each_instance_is_a_row_with_an_id(tmp_path: Path) -> None:
    said = "Example 1\nInput: a\nOutput: A\n\nExample 2\nInput: b\nb\nOutput: B\nB"
    step = WriteInstances(**STEP, teacher=Scripted(say=lambda _: said))
    rows, context = run(step, tmp_path, rows=[WRITING])
    assert [(row["id"], row["input"], row["output"]) for row in rows] == [("w", "a", "A"), ("w#2", "b\nb", "B\nB")]
    assert context.ledger.kept == 2


def test_what_is_filtered_is_counted_by_filter(tmp_path: Path) -> None:
    said = (
        "Input: a\nOutput: A\nInput: same\nOutput: same\nInput: e\nOutput:\nInput: list:\nOutput: x\n"
        "Input: a\nOutput: A\nInput: b\nOutput: B\nInput: c\nOutput: C"
    )
    pairs, context = write(tmp_path, said, most=2)
    assert pairs == [("a", "A"), ("b", "B")]
    assert context.ledger.counts()["filtered"] == {
        "duplicate": 1,
        "empty output": 1,
        "ends with a colon": 1,
        "more than 2 instances": 1,
        "output repeats the input": 1,
    }


def test_the_last_instance_of_a_cut_answer_is_dropped(tmp_path: Path) -> None:
    pairs, context = write(tmp_path, Response("Input: a\nOutput: A\nInput: b\nOutput: B and", "length"))
    assert pairs == [("a", "A")]
    assert context.ledger.counts()["filtered"] == {"cut at max_tokens": 1}


def test_a_task_that_contradicts_itself_is_dropped_whole(tmp_path: Path) -> None:
    with pytest.raises(PotstillError, match="same input, different outputs': 3"):
        write(tmp_path, "Input: a\nOutput: A\nInput: a\nOutput: B\nInput: c\nOutput: C")


def test_an_answer_without_instances_is_asked_again(tmp_path: Path) -> None:
    said = iter(["I can't", "Output: fine"])
    step = WriteInstances(**STEP, teacher=Scripted(say=lambda _: next(said)))
    rows, _ = run(step, tmp_path, rows=[WRITING])
    assert [(row["input"], row["output"]) for row in rows] == [("", "fine")]


def test_a_classification_needs_an_input() -> None:
    assert objection(Instance("", "yes"), needs_input=True) == "no input"
    assert not objection(Instance("", "yes"), needs_input=False)


def test_two_empty_inputs_do_not_contradict() -> None:
    assert not contradicts([Instance("", "one"), Instance("", "two")])
    assert contradicts([Instance("a", "one"), Instance("a", "two")])


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("Input: a\nOutput: b", [("a", "b")]),
        ("**Input:** a\n**Output:** b", [("a", "b")]),
        ("- input: a\n- output: b", [("a", "b")]),
        ("Output: b\nInput: a\n\nOutput: d\nInput: c", [("a", "b"), ("c", "d")]),
        ("Sure!\n\nExample 1:\nLabel: b\nInput: a", [("a", "b")]),
        ("Input: None\nOutput: b", [("", "b")]),
        ("Output: one\nExample 2\nOutput: two", [("", "one"), ("", "two")]),
        ("Input: time: 9:30\nOutput: half past", [("time: 9:30", "half past")]),
    ],
)
def test_reading_instances(text: str, pairs: list[tuple[str, str]]) -> None:
    assert [(instance.input, instance.output) for instance in read_instances(text)] == pairs


@pytest.mark.parametrize(
    "part", [" ", "(", "[", "*", "\n", "Input: ", "Input ", "Output:\n", "\nx", "1. ", "a, ", "Example "]
)
def test_reading_takes_linear_time(part: str) -> None:
    for read in (lambda said: parse_records(said, ("input", "output")), parse_list, verb_and_object):
        assert_linear(lambda size, read=read: read(part * (size // len(part))))


@pytest.mark.parametrize(
    "item", ["1. Dim the lamp", "(b) 2) - Dim the lamp", "**3. Dim the lamp**", "- **Dim the lamp**"]
)
def test_numbers_of_nested_lists_are_no_part_of_an_item(item: str) -> None:
    assert parse_list(f"9. {item}\n10. 90 is a number") == ["Dim the lamp", "90 is a number"]
