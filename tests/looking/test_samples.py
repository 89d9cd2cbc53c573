"""What several models answered stands side by side: where they differ, what is wrong, what was asked of one alone."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from potstill import BadInput, Pipeline, Step
from potstill.engine.progress import Silent
from potstill.looking.samples import Answers, SampleQuery, answers_of, marked, short, side_by_side
from potstill.metrics.kept_rows import write

COLUMNS = {**dict.fromkeys(("id", "set", "input", "gold", "answer"), "text"), "exact_match": "flag"}


class Answer(Step):
    answers: Sequence[str]
    asked: Sequence[str]

    def run(self, context: Any) -> Any:
        rows = [
            {
                "id": "same",
                "set": "ab"[place % 2],
                "input": asked,
                "gold": "yes",
                "answer": one,
                "exact_match": one[0] == "y",
            }
            for place, (asked, one) in enumerate(zip(self.asked, self.answers, strict=True))
        ]
        write(context.out, COLUMNS, rows)
        return {"n": len(rows)}


ASKED = ("is it?", "so?", "really?", "so?")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Answers]:
    steps = {
        "scores[teacher]": Answer(("yes", "yes", "no", "yes"), ASKED, name="scores[teacher]"),
        "scores[student]": Answer(("yes", "no", "no", "yes"), ASKED, name="scores[student]"),
        "scores[other]": Answer(("yes", "yes", "yes"), ("is it?", "else?", "really?"), name="scores[other]"),
    }
    run = Pipeline("p", outputs=steps).run(store=tmp_path_factory.mktemp("store"), watcher=Silent())
    return answers_of({name: run[name] for name in steps})


def answered(models: list[Answers], **query: Any) -> list[tuple[str, list[str | None]]]:
    shown = side_by_side(models, SampleQuery(**query))
    return [(sample.asked.text or "", [one.cell.text for one in sample.answers]) for sample in shown.samples]


def test_rows_belong_together_by_set_place_and_question(models: list[Answers]) -> None:
    assert [model.label for model in models] == ["teacher", "student", "other"]
    assert answered(models) == [
        ("is it?", ["yes", "yes", "yes"]),
        ("really?", ["no", "no", "yes"]),
        ("so?", ["yes", "no", None]),
        ("so?", ["yes", "yes", None]),
    ]


def test_only_where_they_differ_only_wrong_and_both(models: list[Answers]) -> None:
    two = models[:2]
    assert answered(two, differing=True) == [("so?", ["yes", "no"])]
    assert [asked for asked, _ in answered(two, wrong=True)] == ["really?", "so?"]
    assert answered(two, wrong=True, differing=True) == [("so?", ["yes", "no"])]
    assert answered(two[:1], differing=True) == []


def test_a_set_a_search_and_pages(models: list[Answers]) -> None:
    shown = side_by_side(models, SampleQuery(set="a", search="REALLY", limit=1))
    assert (shown.total, shown.matching, shown.sets) == (4, 1, ["a", "b"])
    assert [sample.number for sample in shown.samples] == [2]
    assert [one.right for one in shown.samples[0].answers] == [False, False, True]
    assert side_by_side(models, SampleQuery(limit=3, offset=3)).samples[0].set == "b"


def test_no_model_is_refused(models: list[Answers]) -> None:
    with pytest.raises(BadInput, match="choose at least one"):
        side_by_side([], SampleQuery())


def test_artifacts_without_answers_are_left_out(tmp_path: Path) -> None:
    class Table(Step):
        def run(self, context: Any) -> Any:
            write(context.out, {"id": "text"}, [{"id": "1"}])
            return {"n": 1}

    run = Pipeline("p", outputs={"table": Table(name="table")}).run(store=tmp_path, watcher=Silent())
    assert answers_of({"table": run["table"]}) == []


def test_words_that_differ_are_marked() -> None:
    assert marked("turn it on", "turn it off") == [("turn it ", False), ("off", True)]
    assert marked("same", "same") == [("same", False)]
    assert "".join(piece for piece, _ in marked("a b", "<b> c\n")) == "<b> c\n"
    assert [short(name) for name in ("scores[large]", "Evaluate(hard)", "plain")] == ["large", "hard", "plain"]


def test_answers_that_repeat_themselves_are_marked_at_once() -> None:
    begun = time.perf_counter()
    for first, second in (("a " * 750, "a b " * 375), ("." * 1_500, ".," * 750)):
        pieces = marked(first, second)
        assert "".join(piece for piece, _ in pieces) == second
        assert any(differs for _, differs in pieces)
    assert time.perf_counter() - begun < 2  # compared word by word, it took minutes
    long = "go on and on " * 100
    assert marked(f"{long}to the left {long}", f"{long}to the right {long}") == [
        (f"{long}to the ", False),
        ("right", True),
        (f" {long}", False),
    ]
