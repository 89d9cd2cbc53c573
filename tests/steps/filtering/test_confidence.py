"""Rows of which a classifier is confident stay; what goes is counted, and a threshold too high says what it found."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset

from fakes import context_in
from potstill import BadInput
from potstill.steps.filtering.confidence import KeepConfident
from potstill.steps.loading.in_memory import LoadRows

NONE = LoadRows([{"probabilities": [1.0]}])
SHARES = [[0.95, 0.05], [0.4, 0.6], [0.02, 0.98], [0.97, 0.03], [0.91, 0.09], [0.05, 0.95]]


def run(folder: Path, shares: list, **fields):
    rows = Dataset.from_dict({"id": [f"r{number}" for number in range(len(shares))], "probabilities": shares})
    context = context_in(folder)
    result = KeepConfident(NONE, **fields).run(rows, context)
    return list(result["id"]), context


def test_rows_below_the_threshold_go_and_are_counted(tmp_path: Path) -> None:
    stay, context = run(tmp_path, SHARES, threshold=0.95)
    assert stay == ["r0", "r2", "r3", "r5"]
    assert context.ledger.counts()["filtered"] == {"confidence below 0.95": 2}
    assert context.notes["confidence"] == {"0.6 to 0.7": 1, "0.9 to 1.0": 5}


def test_the_surest_of_each_class_stay(tmp_path: Path) -> None:
    stay, context = run(tmp_path, SHARES, threshold=0.9, per_class=2)
    assert stay == ["r0", "r2", "r3", "r5"]
    assert context.ledger.counts()["filtered"] == {
        "confidence below 0.9": 1,
        "not among the 2 most confident of its class": 1,
    }
    assert context.notes["classes_kept"] == 2
    # of equal ones the first
    assert run(tmp_path / "equal", [[0.9, 0.1]] * 3, per_class=1)[0] == ["r0"]


def test_probabilities_by_name_are_the_same(tmp_path: Path) -> None:
    named = [dict(zip("ab", share, strict=True)) for share in SHARES]
    assert run(tmp_path / "1", named, threshold=0.95)[0] == run(tmp_path / "2", SHARES, threshold=0.95)[0]


def test_a_threshold_that_keeps_nothing_says_how_many_rows_had_which_confidence(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        run(tmp_path, SHARES, threshold=0.99)
    said = (
        "no row has a confidence of 0.99; the highest is 0.9800. Of 6 rows, 1 at 0.6 to 0.7, 5 at 0.9 to 1.0: lower the"
    )
    assert said in str(caught.value)


def test_no_rows_and_no_probabilities_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no rows to choose from"):
        run(tmp_path, [])
    with pytest.raises(BadInput, match="row r1: no probabilities: let a classifier"):
        run(tmp_path, [[0.5, 0.5], None])
    with pytest.raises(
        BadInput, match="row r0, r1, r2 and 1 more: probabilities that are below 0 or don't add up to 1"
    ):
        run(tmp_path, [[0.5, 0.6], [1.5, -0.5], [float("nan"), 1.0], [0.0, 0.0]])
    with pytest.raises(BadInput, match="row r1: another number of probabilities"):
        run(tmp_path, [[0.5, 0.5], [1.0]])
    with pytest.raises(BadInput, match="probabilities holds string: give a list"):
        run(tmp_path, ["0.5"])
