"""Instances in many forms: the same form for the same row, and no two rows alike."""

from __future__ import annotations

from pathlib import Path

from potstill.steps.instructions.training_text import WITH_INPUT, WITHOUT_INPUT, EncodeInstructions
from potstill.steps.loading.in_memory import LoadRows
from scripted import run

ROWS = [{"id": str(n), "instruction": f"Do {n}.", "input": f"thing {n}", "output": f"done {n}"} for n in range(200)]


def encode(tmp_path: Path, rows: list[dict], **parameters):
    return run(EncodeInstructions(LoadRows(rows), **parameters), tmp_path, rows=rows)


def test_there_are_seven_forms_with_an_input_and_six_without() -> None:
    assert (len(set(WITH_INPUT)), len(set(WITHOUT_INPUT))) == (7, 6)


def test_all_forms_are_used_and_nothing_is_lost(tmp_path: Path) -> None:
    rows, _ = encode(tmp_path, ROWS)
    forms = {row["instruction"].replace(row["task"], "T").replace(f"thing {row['id']}", "I") for row in rows}
    assert len(forms) > 7  # seven, some of them also without empty lines
    assert all(row["task"] in row["instruction"] and f"thing {row['id']}" in row["instruction"] for row in rows)
    assert all("input" not in row and row["output"] == f"done {row['id']}" for row in rows)
    bare, _ = encode(tmp_path / "b", [{**row, "input": ""} for row in ROWS])
    assert all("thing" not in row["instruction"] for row in bare)


def test_a_row_keeps_its_form_when_others_come(tmp_path: Path) -> None:
    few, _ = encode(tmp_path / "a", ROWS[5:9])
    many, _ = encode(tmp_path / "b", ROWS)
    assert few == many[5:9]
    other, _ = encode(tmp_path / "c", ROWS, seed=1)
    assert other != many


def test_a_lone_fields_name_goes_in_half_of_the_rows(tmp_path: Path) -> None:
    rows, _ = encode(
        tmp_path, [{**row, "input": f"Sentence: {row['input']}"} for row in ROWS], with_input=("{{ input }}",)
    )
    named = sum(row["instruction"].startswith("Sentence: ") for row in rows)
    assert 70 < named < 130
    two = [{**row, "input": f"First: {row['id']}\nSecond: b"} for row in ROWS]
    kept, _ = encode(tmp_path / "b", two, with_input=("{{ input }}",))
    assert all(row["instruction"].startswith("First: ") for row in kept)


def test_what_says_the_same_comes_once_and_seeds_come_first(tmp_path: Path) -> None:
    seeds = [{"id": "s", "instruction": "Do 3.", "input": "thing 3", "output": "done 3"}]
    step = EncodeInstructions(LoadRows(ROWS), seeds=LoadRows(seeds))
    rows, context = run(step, tmp_path, rows=ROWS, seeds=seeds)
    assert rows[0]["id"] == "s"
    assert "3" not in [row["id"] for row in rows]
    assert context.ledger.counts()["filtered"] == {"duplicate": 1}


def test_no_template() -> None:
    assert [problem.field for problem in EncodeInstructions(LoadRows(ROWS), with_input=()).check()] == ["with_input"]
