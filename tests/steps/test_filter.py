"""Filters drop what they should, keep the order, and say why."""

from __future__ import annotations

import doctest
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from fakes import context_in
from potstill.step import Step
from potstill.steps import Decontaminate, Deduplicate, FilterRows, LoadSeeds, ValidJSON
from potstill.steps import filter as filters
from potstill.steps.filter import json_problem, normal

SOURCE = LoadSeeds("unused")


def run(step: Any, tmp_path: Path, texts: list[str], column: str = "instruction", **inputs: Any) -> tuple[Any, Any]:
    context = context_in(tmp_path)
    rows = Dataset.from_dict({"id": [f"r{n}" for n in range(len(texts))], column: texts})
    kept = [row["id"] for row in step.run(rows=rows, context=context, **inputs)]
    return kept, context.ledger.counts()["filtered"]


def test_a_function_of_ones_own(tmp_path: Path) -> None:
    step = FilterRows(SOURCE, keep=lambda row: "x" in row["instruction"], reason="no x")
    assert run(step, tmp_path, ["ax", "b", "x"]) == (["r0", "r2"], {"no x": 1})


def test_valid_json(tmp_path: Path) -> None:
    texts = ['{"a": 1}', '{"a": 1', "[1]", '{"b": 1}', '{"a": 1, "b": NaN}', '```json\n{"a": 1}\n```']
    kept, reasons = run(ValidJSON(SOURCE, keys=("a",)), tmp_path, texts, "output")
    assert kept == ["r0"]
    assert reasons == {"invalid JSON": 3, "JSON, but no object": 1, "JSON object lacks a key": 1}
    assert json_problem('{"a": 1, "b": 2}', ("a",), exact=True) == "JSON object has another key"
    assert json_problem("[" * 100_000) == "invalid JSON"


def test_duplicates_whatever_their_case_spacing_and_punctuation(tmp_path: Path) -> None:
    texts = ["Turn on the light", "turn on  the light!", "turn off the light", "TURN ON THE LIGHT", "licht \uff21n"]
    kept, reasons = run(Deduplicate(SOURCE), tmp_path, texts)
    assert kept == ["r0", "r2", "r4"]
    assert reasons == {"duplicate": 2}
    assert normal("licht \uff21n") == "licht an"


def test_duplicates_by_several_columns(tmp_path: Path) -> None:
    rows = Dataset.from_dict({"a": ["x", "x", "x y"], "b": ["y", "z", ""]})
    kept = list(Deduplicate(SOURCE, fields=("a", "b")).run(rows=rows, context=context_in(tmp_path)))
    assert len(kept) == 3
    assert [problem.field for problem in Deduplicate(SOURCE, fields=()).check()] == ["fields"]


def test_texts_of_the_test_set_are_dropped(tmp_path: Path) -> None:
    test = Dataset.from_dict({"instruction": ["Lock the door.", "dim the lamp in the hall"]})
    other = Dataset.from_dict({"instruction": ["stop"]})
    texts = ["lock the door", "Stop!", "dim the lamp in the den", "lock the door now"]
    step = Decontaminate(SOURCE, against=[SOURCE, SOURCE])
    assert run(step, tmp_path, texts, against=[test, other]) == (["r2", "r3"], {"in the test set": 2})


def test_shared_words_in_a_row(tmp_path: Path) -> None:
    test = Dataset.from_dict({"instruction": ["dim the lamp in the hall"]})
    texts = ["please dim the lamp in the den", "the lamp in a den", "dim the lamp", "lamp in the"]
    step = Decontaminate(SOURCE, against=SOURCE, ngram=4)
    kept, reasons = run(step, tmp_path, texts, against=test)
    assert kept == ["r1", "r2", "r3"]
    assert reasons == {"shares 4 words in a row with the test set": 1}


@pytest.mark.parametrize(
    "step",
    [ValidJSON(SOURCE), Deduplicate(SOURCE), FilterRows(SOURCE, keep=bool), Decontaminate(SOURCE, against=SOURCE)],
)
def test_columns_pass_through(step: Step) -> None:
    assert step.columns({"rows": frozenset({"a"}), "against": None}) == {"a"}
    assert step.estimate({"rows": 5}).rows == 5


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(filters).failed == 0
