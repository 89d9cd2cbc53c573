"""Instructions for texts, and only the pairs that are rated well."""

from __future__ import annotations

from pathlib import Path

import pytest

from potstill.errors import PotstillError
from potstill.steps.instructions.backtranslate import Backtranslate, read_score
from potstill.steps.loading.in_memory import LoadRows
from potstill.teachers.protocol import Request
from scripted import Scripted, asks, run

TEXTS = [{"id": str(n), "text": f"Text number {n}."} for n in range(4)]


def say(request: Request) -> str:
    text = asks(request)
    if text.startswith("Rate"):
        number = int(text[text.index("Answer: Text number ") + 20])
        return f"It does.\nScore: {number + 2}" if number < 4 else "?"
    return f'"What is {text.split()[-1]}"'


def test_good_pairs_stay(tmp_path: Path) -> None:
    rows, context = run(Backtranslate(LoadRows(TEXTS), teacher=Scripted(say=say)), tmp_path, rows=TEXTS)
    assert [(row["id"], row["instruction"], row["output"], row["score"]) for row in rows] == [
        ("2", "What is 2.", "Text number 2.", 4),
        ("3", "What is 3.", "Text number 3.", 5),
    ]
    assert context.ledger.counts()["filtered"] == {"score 2 below 4": 1, "score 3 below 4": 1}


def test_without_rating_all_stay_and_a_changed_bar_asks_nothing(tmp_path: Path) -> None:
    rows, context = run(Backtranslate(LoadRows(TEXTS), teacher=Scripted(say=say), min_score=0), tmp_path, rows=TEXTS)
    assert len(rows) == 4
    assert "score" not in rows[0]
    assert context.notes["usage"]["calls"] == 4
    run(Backtranslate(LoadRows(TEXTS), teacher=Scripted(say=say), min_score=5), tmp_path, rows=TEXTS)
    rows, context = run(Backtranslate(LoadRows(TEXTS), teacher=Scripted(say=say), min_score=3), tmp_path, rows=TEXTS)
    assert len(rows) == 3
    assert context.notes["usage"]["calls"] == 0


def test_none_good_enough(tmp_path: Path) -> None:
    teacher = Scripted(say=lambda request: "Score: 1" if asks(request).startswith("Rate") else "What?")
    with pytest.raises(PotstillError, match="score 1 below 4': 4"):
        run(Backtranslate(LoadRows(TEXTS), teacher=teacher), tmp_path, rows=TEXTS)


@pytest.mark.parametrize(
    ("text", "score"),
    [("Good.\nScore: 4", 4), ("Score: **5**", 5), ("3", 3), ("On a scale of 1 to 5, score 2.", 2), ("Rating: 4/5", 4)],
)
def test_reading_scores(text: str, score: int) -> None:
    assert read_score(text) == score


@pytest.mark.parametrize("text", ["", "Good", "Score: 7", "I have 3 apples"])
def test_no_score(text: str) -> None:
    with pytest.raises(ValueError, match="Score"):
        read_score(text)
