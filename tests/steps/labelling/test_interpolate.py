"""Interpolate: between the teacher's outputs and the data's own."""

import pytest

import learning
from potstill.errors import BadInput
from potstill.steps.labelling.interpolate import Interpolate

ROW = {
    "reference": "a man in a red shirt",
    "output": "a dog",
    "finish_reason": "stop",
    "score": -0.1,
    "hypotheses": [
        {"output": "a dog", "finish_reason": "stop", "score": -0.1},
        {"output": "a man in red", "finish_reason": "stop", "score": -0.2},
        {"output": "a man in a shirt", "finish_reason": "stop", "score": -0.3},
        {"output": "a man in a red shirt", "finish_reason": "length", "score": -0.4},
    ],
}


def interpolated(folder, rows, **fields):
    context = learning.context(folder)
    return list(Interpolate(None, **fields).run(learning.dataset(rows), context)), context


def test_the_whole_hypothesis_nearest_to_the_reference_is_taken(tmp_path):
    [row], context = interpolated(tmp_path, [ROW], nearest=True)
    assert (row["output"], row["score"]) == ("a man in a shirt", -0.3)
    assert "hypotheses" not in row and context.notes["changed"] == 1


def test_of_equals_the_teachers_favourite_is_taken(tmp_path):
    same = [{"output": text, "finish_reason": "stop", "score": 0.0} for text in ("x", "y", "z")]
    assert interpolated(tmp_path, [ROW | {"hypotheses": same}], nearest=True)[0][0]["output"] == "x"


def test_a_share_of_the_rows_gets_its_reference_the_same_in_each_run_and_not_by_position_alone(tmp_path):
    rows = [ROW | {"reference": f"gold {n}", "finish_reason": "length"} for n in range(200)]
    first, second = (interpolated(tmp_path / name, rows, gold=0.3)[0] for name in "ab")
    assert first == second
    gold = [row for row in first if row["output"].startswith("gold")]
    assert 40 <= len(gold) <= 80
    assert {row["finish_reason"] for row in gold} == {"stop"}
    assert {row["finish_reason"] for row in first if row not in gold} == {"length"}
    assert interpolated(tmp_path / "c", rows, gold=0.3, seed=1)[0] != first
    assert all(row["output"] == row["reference"] for row in interpolated(tmp_path / "d", rows, gold=1.0)[0])


def test_a_row_without_reference_is_named(tmp_path):
    with pytest.raises(BadInput, match="row 1 has no reference"):
        interpolated(tmp_path, [ROW, ROW | {"reference": " "}], gold=0.5)


def test_nothing_to_do_is_said_before_anything_runs():
    [problem] = Interpolate(None).check()
    assert "leaves the rows as they are" in problem.message
    assert not list(Interpolate(None, gold=0.1).check())
    assert Interpolate(None, nearest=True).needs()["rows"] == ("output", "reference", "hypotheses")
