"""A report shows which test rows were found in the training rows, or says that nobody looked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from potstill import Pipeline
from potstill.engine.progress import Silent
from potstill.reporting.leaks import NOT_DONE, leak_tables, parted
from potstill.reporting.model_table import Evaluation
from potstill.reporting.number_formats import NONE
from potstill.steps import LeakCheck, LoadRows, Report

EVIL = "<script>alert(1)</script>"
FOUND = {
    "rows": 200,
    "exact": {"rows": 3, "share": 0.015},
    "any": {"rows": 3, "share": 0.015},
    "examples": [{"test": "t", "text": EVIL, "train": "a", "train_text": "x" * 9999}] * 9,
}


def check(**sets: Any) -> Evaluation:
    return Evaluation("leaks", "check", {"leaks": {"sets": sets}}, None)


def test_each_test_set_has_a_line_and_examples() -> None:
    counts, examples = leak_tables([check(easy=FOUND, hard={"rows": 5})])
    assert counts.head == ("Test set", "Rows", "Equal", "Words in a row", "Nearly equal", "Same meaning", "In any way")
    assert counts.lines == (
        ("leaks: easy", "200", "3 (1.5\u202f%)", NONE, NONE, NONE, "3 (1.5\u202f%)"),
        ("leaks: hard", "5", *[NONE] * 5),
    )
    assert len(examples.lines) == 5 and len(examples.lines[0][2]) < 200
    both = leak_tables([check(easy=FOUND), check(easy={"rows": 5})])
    assert [line[0] for line in both[0].lines] == ["leaks: easy"] * 2
    assert len(leak_tables([check(hard={"rows": 5})])) == 1


@pytest.mark.parametrize(
    "metrics", [{}, {"leaks": 1}, {"leaks": {}}, {"leaks": {"sets": {}}}, {"leaks": {"sets": {"a": 1}}}, []]
)
def test_other_figures_are_no_check(metrics: Any) -> None:
    other = Evaluation("own", "own", metrics, None)
    assert parted([other]) == ([], [other])


@pytest.mark.parametrize("scores", [{"exact": 1}, {"exact": {"rows": "x", "share": None}}, {"examples": 3}])
def test_odd_figures_are_shown_as_unknown(scores: Any) -> None:
    assert leak_tables([check(a=scores)])[0].lines[0][1:4] == (NONE, NONE, NONE)


def test_the_page_shows_them(tmp_path: Any) -> None:
    train = LoadRows([{"instruction": f"{EVIL} turn on the lamp"}], name="train")
    test = LoadRows([{"instruction": f"turn on the {EVIL}"}, {"instruction": f"{EVIL} Turn on the lamp!"}], name="test")
    report = Report({"leaks": LeakCheck(train, test, name="check")}, name="report")
    run = Pipeline("p", outputs={"report": report}).run(store=tmp_path, watcher=Silent())
    page = (run["report"].path / "index.html").read_text(encoding="utf-8")
    assert "Test rows in the training rows: examples" in page and "&lt;script&gt;" in page
    assert "<script>alert" not in page and "Other figures" not in page and NOT_DONE not in page
    assert json.loads((run["report"].path / "metrics.json").read_text())["models"][0]["figures"]["leaks"]["sets"]
