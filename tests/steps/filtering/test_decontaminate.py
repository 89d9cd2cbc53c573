"""Evaluation texts are kept out of the training rows, and the evidence is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset

from fakes import context_in
from filtering import SOURCE, details, numbered, run
from potstill import Pipeline
from potstill.steps import Decontaminate
from potstill.steps.loading.in_memory import LoadRows

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"


def test_texts_of_the_test_set_are_dropped(tmp_path: Path) -> None:
    test = Dataset.from_dict({"instruction": ["Lock the door.", "dim the lamp in the hall", "", None]})
    other = numbered(["stop"])
    texts = ["lock the door", "Stop!", "dim the lamp in the den", "lock the door now", ""]
    step = Decontaminate(SOURCE, against=[SOURCE, SOURCE])
    left, reasons = run(step, tmp_path, texts, against=[test, other])
    assert left == ["r2", "r3", "r4"]
    assert reasons == {"in the test set": 2}
    assert details(tmp_path) == {"r0": "row 0 of against[0]: lock the door", "r1": "row r0 of against[1]: stop"}


def test_shared_words_in_a_row(tmp_path: Path) -> None:
    texts = ["please dim the lamp in the den", "the lamp in a den", "dim the lamp", "lamp in the"]
    step = Decontaminate(SOURCE, against=SOURCE, ngram=4)
    left, reasons = run(step, tmp_path, texts, against=numbered(["dim the lamp in the hall"]))
    assert left == ["r1", "r2", "r3"]
    assert reasons == {"shares 4 words in a row with the test set": 1}
    assert details(tmp_path) == {"r0": "row r0 of against[0]: dim the lamp in"}


@pytest.mark.parametrize(
    ("test", "text", "words"),
    [
        (LONG, f"x {LONG[4:]} y", 13),
        (LONG, " ".join(LONG.split()[:12]), None),
        ("one two three four five six seven eight", f"so {LONG}", 8),
        ("two three four five six seven eight", f"so {LONG}", None),
        ("two three four five six seven eight", "Two three four, five six seven eight!", 0),
    ],
    ids=["13 words shared", "12 words shared", "a short text inside", "too short a text inside", "equal"],
)
def test_by_default_13_words_and_fewer_for_short_texts(tmp_path: Path, test: str, text: str, words: int | None) -> None:
    step = Decontaminate(SOURCE, against=SOURCE)
    left, reasons = run(step, tmp_path, [text, "other"], against=numbered([test]))
    assert (left == ["r0", "r1"]) == (words is None)
    if words is not None:
        assert list(reasons) == [f"shares {words} words in a row with the test set" if words else "in the test set"]


def test_only_equal_texts_when_no_words_are_asked_for(tmp_path: Path) -> None:
    step = Decontaminate(SOURCE, against=SOURCE, ngram=0)
    assert run(step, tmp_path, [f"{LONG} x", LONG], against=numbered([LONG]))[0] == ["r0"]


def test_the_ledger_names_the_test_set_by_its_step_and_its_column_may_differ(tmp_path: Path) -> None:
    rows = LoadRows([{"id": "a", "instruction": "stop it"}, {"id": "b", "instruction": "go"}])
    exam = LoadRows([{"id": "t7", "question": "Stop it!"}], name="exam")
    clean = Decontaminate(rows, against=exam, against_column="question")
    result = Pipeline("p", outputs={"clean": clean}).run(store=tmp_path)["clean"]
    assert [row["id"] for row in result.dataset()] == ["b"]
    assert details(result.path) == {"a": "row t7 of exam: stop it"}


def test_a_row_may_be_a_view_on_others(tmp_path: Path) -> None:
    rows = numbered(["a", "stop", "c"]).select([2, 1])
    result = Decontaminate(SOURCE, against=SOURCE).run(rows, numbered(["stop"]), context_in(tmp_path))
    assert result["id"][:] == ["r2"]
