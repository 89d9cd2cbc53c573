"""Labels from functions: what each says, how they are combined, and what is known of them afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from fakes import context_in
from potstill import Pipeline
from potstill.errors import BadInput
from potstill.steps import LoadSeeds
from potstill.steps.labelling.labeling_functions import LabelingFunctions, names_of


def label(folder: Path, rows: list[dict[str, Any]], **fields: Any) -> tuple[list[dict[str, Any]], Any]:
    context = context_in(folder)
    step = LabelingFunctions(LoadSeeds("unused"), **fields)
    return list(step.run(rows=Dataset.from_list(rows), context=context)), context


def first(row: Any) -> Any:
    return row["a"]


def second(row: Any) -> Any:
    return row["b"]


def third(row: Any) -> Any:
    return row["c"]


def test_the_majority_and_its_share_with_every_vote_kept(tmp_path: Path) -> None:
    rows = [
        {"id": "x", "a": "spam", "b": "spam", "c": "ham"},
        {"id": "y", "a": None, "b": None, "c": "ham"},
        {"id": "z", "a": None, "b": None, "c": None},
        {"id": "t", "a": "spam", "b": "ham", "c": None},
    ]
    result, context = label(tmp_path, rows, functions=[first, second, third], model="majority")
    assert [(row["id"], row["label"]) for row in result] == [("x", "spam"), ("y", "ham"), ("t", "ham")]
    assert [row["confidence"] for row in result] == pytest.approx([2 / 3, 1.0, 0.5])
    assert result[0]["votes"] == ["spam", "spam", "ham"]
    assert result[1]["votes"] == [None, None, "ham"]
    assert context.ledger.counts()["filtered"] == {"no function votes": 1}
    assert context.notes["functions"]["first"] == {"coverage": 0.5, "overlap": 0.5, "conflict": 0.5}


def test_the_model_finds_out_who_is_right_and_outvotes_the_majority(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 2, 3_000)

    def said(right: float, covers: float) -> list[Any]:
        cast = np.where(draw.random(len(truth)) < right, truth, 1 - truth)
        return [int(vote) if draw.random() < covers else None for vote in cast]

    good, fair, poor = said(0.95, 1.0), said(0.65, 0.9), said(0.6, 0.9)
    rows = [
        {"id": str(n), "truth": int(t), "a": a, "b": b, "c": c}
        for n, (t, a, b, c) in enumerate(zip(truth, good, fair, poor, strict=True))
    ]
    result, context = label(tmp_path / "em", rows, functions=[first, second, third])
    accuracies = [context.notes["functions"][name]["accuracy"] for name in ("first", "second", "third")]
    assert accuracies == pytest.approx([0.95, 0.65, 0.6], abs=0.06)
    plain, _ = label(tmp_path / "plain", rows, functions=[first, second, third], model="majority")
    right, usual = (np.mean([row["label"] == row["truth"] for row in some]) for some in (result, plain))
    assert right > usual + 0.03
    sure = [row["label"] == row["truth"] for row in result if row["confidence"] > 0.97]
    assert np.mean(sure) > 0.96


def test_unsure_labels_can_be_left_out(tmp_path: Path) -> None:
    rows = [{"id": "x", "a": "s", "b": "s", "c": "s"}, {"id": "y", "a": "s", "b": "h", "c": None}]
    result, context = label(tmp_path, rows, functions=[first, second, third], model="majority", min_confidence=0.6)
    assert [row["id"] for row in result] == ["x"]
    assert context.ledger.counts()["filtered"] == {"confidence below min_confidence": 1}


def test_a_row_on_which_a_function_raises_is_lost_alone(tmp_path: Path) -> None:
    def fragile(row: Any) -> Any:
        return row["a"].lower()

    rows = [{"id": "x", "a": "S"}, {"id": "y", "a": None}, {"id": "z", "a": "H"}]
    result, context = label(tmp_path, rows, functions=[fragile], model="majority", max_failed=0.5)
    assert [(row["id"], row["label"]) for row in result] == [("x", "s"), ("z", "h")]
    assert context.ledger.counts()["failed"] == {"a function raised AttributeError": 1}


@pytest.mark.parametrize(
    ("row", "fields", "message"),
    [
        ({"a": "other"}, {"classes": ("spam", "ham")}, r"first returned 'other', which is none of the classes"),
        ({"a": True}, {}, "first returned True: a label is a text or a whole number"),
        ({"a": None}, {}, "none of first gives any row a label"),
    ],
)
def test_what_is_no_label_is_refused_with_the_functions_name(
    tmp_path: Path, row: dict[str, Any], fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        label(tmp_path, [row], functions=[first], model="majority", **fields)


def test_too_few_functions_for_a_model_are_said_before_anything_runs() -> None:
    [problem] = LabelingFunctions(LoadSeeds("x"), functions=[first, second]).check()
    assert problem.field == "model" and "at least 3 functions" in problem.message
    [problem] = LabelingFunctions(LoadSeeds("x"), functions=[]).check()
    assert problem.field == "functions"
    assert names_of([first, lambda row: None, lambda row: 1]) == ["first", "<lambda>", "<lambda>#2"]


def test_the_code_of_the_functions_is_part_of_the_key(tmp_path: Path) -> None:
    (tmp_path / "seeds.jsonl").write_text('{"instruction": "a b"}\n{"instruction": "c"}\n')

    def run(limit: int) -> Any:
        def long(row: Any) -> Any:
            return "long" if len(row["instruction"].split()) > limit else "short"

        step = LabelingFunctions(LoadSeeds(tmp_path / "seeds.jsonl"), functions=[long], model="majority")
        return Pipeline("rules", outputs={"rows": step}).run(store=tmp_path / "store")["rows"]

    assert run(1).key == run(1).key
    assert run(1).key != run(2).key
