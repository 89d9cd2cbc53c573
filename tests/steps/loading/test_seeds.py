"""Seed files: what is right is read, and what is wrong is named with line and field, all of it together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from potstill.errors import BadInput
from potstill.steps import LoadSeeds
from potstill.steps.loading.seeds import read_seeds
from running import problems_of


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def messages(step: LoadSeeds) -> list[str]:
    return [problem.message for problem in step.check()]


def test_rows_of_a_jsonl_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"id": 7, "instruction": "a"}', "", '{"instruction": "b", "level": 2}')
    step = LoadSeeds(path)
    assert messages(step) == []
    assert list(step.run()) == [
        {"id": "7", "instruction": "a", "level": None},
        {"id": "seed-2", "instruction": "b", "level": 2},
    ]
    assert step.columns({}) == {"id", "instruction", "level"}
    assert step.estimate({}).rows == 2


def test_rows_of_a_json_list(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", json.dumps([{"instruction": "a"}, {"instruction": "b"}], indent=2))
    assert [row["instruction"] for row in LoadSeeds(path).run()] == ["a", "b"]


def test_the_format_of_self_instruct(tmp_path: Path) -> None:
    task = {
        "id": "t",
        "instruction": "add",
        "is_classification": False,
        "instances": [{"input": "1 1", "output": "2"}, {"input": "", "output": "3"}],
    }
    rows = list(LoadSeeds(write(tmp_path / "a.jsonl", json.dumps(task))).run())
    assert [(row["id"], row["input"], row["output"]) for row in rows] == [("t", "1 1", "2"), ("t#2", "", "3")]
    assert "instances" not in rows[0]


def test_every_problem_is_named_with_line_and_field(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        '{"instruction": "fine", "room": "den"}',
        '{"instruction": "cut',
        '{"task": "x"}',
        '{"instruction": "  "}',
        '["instruction"]',
        '{"instruction": "y", "room": 3}',
        '{"id": "seed-1", "instruction": "z"}',
        '{"instruction": "w", "instances": "none"}',
    )
    actual = messages(LoadSeeds(path))
    for line, part in (
        (2, "not valid JSON"),
        (3, "no field 'instruction' (it has task)"),
        (4, "'instruction' must be a text that is not empty"),
        (5, "must be an object"),
        (6, "'room' is a number here and a text in line 1"),
        (7, "'seed-1' was used in line 1"),
        (8, "'instances' must be a list"),
    ):
        assert sum(f"line {line}: " in text and part in text for text in actual) == 1, (line, part, actual)
    assert len(actual) == 7
    with pytest.raises(BadInput, match=r"line 2.*\n.*line 3"):
        list(LoadSeeds(path).run())


def test_other_required_fields_and_a_limit_on_what_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *['{"text": "a"}'] * 3)
    assert messages(LoadSeeds(path, fields=("text",))) == []
    many = messages(LoadSeeds(write(tmp_path / "b.jsonl", *['{"a": 1}'] * 90)))
    assert len(many) == 21
    assert "70 more" in many[-1]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"[]", b"\xff\xfe{}", b'[{"instruction": "a"},]'])
def test_files_without_rows_or_text(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    assert len(messages(LoadSeeds(path))) == 1


def test_a_mark_at_the_start_of_the_file_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"instruction": "a"}\r\n{"instruction": "b\xe2\x80\xa8c"}\r\n')
    assert [row["instruction"] for row in LoadSeeds(path).run()] == ["a", "b\u2028c"]


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    assert "can't be read" in messages(LoadSeeds(tmp_path / "none.jsonl"))[0]


def test_instances_are_texts_and_what_is_none_is_told_by_line_and_field(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text(
        '{"instruction": "a", "instances": [{"input": null, "output": "2"}]}\n'
        '{"instruction": "b", "instances": [{"input": null, "output": ["2", "3"]}, {"output": null}]}\n'
        '{"instruction": "c", "instances": [{"input": 3, "output": true}]}\n'
        '{"instruction": "d \\ud83d"}\n'
        '{"instruction": "e", "deep": ' + "[" * 100_000 + "]" * 100_000 + "}\n"
        '{"instruction": "f", "number": ' + "1" * 5_000 + "}\n"
    )
    read = read_seeds(path, ("instruction",))
    assert read.rows[0]["input"] == ""
    places = [problem.removeprefix(f"{path}, ") for problem in read.problems]
    for place, wanted in zip(
        places,
        (
            "line 2: field 'output' of instance 1 must be a text, got ['2', '3']",
            "line 2: field 'output' of instance 2 must be a text, got None",
            "line 3: field 'input' must be a text, got 3",
            "line 3: field 'output' must be a text, got True",
            "line 4: column 'instruction' holds half a character",
            "line 5: can't be read: it is nested too deeply",
            "line 6: can't be read: Exceeds the limit",
        ),
        strict=True,
    ):
        assert place.startswith(wanted)


def test_what_no_column_holds_is_named_by_line(tmp_path: Path) -> None:
    lines = [
        r'{"instruction": "half \ud83d"}',
        '{"instruction": "x", "meta": [%s]}' % 10**30,
        '{"instruction": "y"}',
    ]
    (tmp_path / "seeds.jsonl").write_text("\n".join(lines))
    problems = problems_of(LoadSeeds(tmp_path / "seeds.jsonl"))
    assert "line 1: column 'instruction' holds half a character" in problems[0]
    assert "line 2: column 'meta[]' holds a whole number of more than 64 bits" in problems[1]
    assert len(problems) == 2
