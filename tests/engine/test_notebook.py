"""In a notebook a run and an artifact are small tables, in which whatever data holds is text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from potstill import Pipeline, Step
from potstill.engine import notebook
from potstill.engine.progress import Silent


class Make(Step):
    def run(self) -> Any:
        return [{"text": "<script>alert(1)</script>", "long": "x" * 100_000, "n": number} for number in range(9)]


class Parts(Step):
    outputs = ("train", "test")

    def run(self) -> Any:
        return {"train": [{"n": 1}], "test": [{"n": 7}, {"n": 8}]}


class Measure(Step):
    def run(self) -> Any:
        return {"accuracy": 0.123456789, "a&b": None, **{f"figure {n}": n for n in range(50)}}


class Folder(Step):
    makes = "model"

    def run(self, context: Any) -> Any:
        (context.out / "file").write_text("x")
        return context.out


class Fail(Step):
    def run(self) -> Any:
        raise ValueError("<b>no</b>")


def test_runs_and_artifacts_are_small_tables(tmp_path: Path) -> None:
    outputs = {"rows": Make(name="rows"), "test": Parts(name="parts").test, "score": Measure(name="score")}
    run = Pipeline("<p>", outputs=outputs).run(store=tmp_path, watcher=Silent())
    shown = {name: run[name]._repr_html_() for name in outputs}
    assert "rows: 9 rows, of which the first 5" in shown["rows"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown["rows"] and "<script" not in shown["rows"]
    assert "…+99,880" in shown["rows"] and len(shown["rows"]) < 3_000
    assert "parts.test: 2 rows" in shown["test"] and "<td>8</td>" in shown["test"]
    assert "<td>0.123457</td>" in shown["score"] and "a&amp;b" in shown["score"] and "figure 30" not in shown["score"]
    page = run._repr_html_()
    assert "&lt;p&gt;: 3 steps" in page and run["rows"].key[:12] in page
    assert run["test"].to_pandas()["n"].tolist() == [7, 8]
    assert run["rows"].dataset()[8]["n"] == 8
    (run["rows"].path / "data" / run["rows"].parts()[0]).unlink()
    assert "it can&#x27;t be read" in run["rows"]._repr_html_()


def test_a_failed_step_says_why(tmp_path: Path) -> None:
    run = Pipeline("p", outputs={"out": Fail(name="f")}).execute(store=tmp_path, watcher=Silent())
    assert "failed: ValueError: &lt;b&gt;no&lt;/b&gt;" in run._repr_html_()


def test_many_columns_are_counted_and_half_a_character_is_shown_as_a_mark() -> None:
    text = notebook.table("\ud800", [str(n) for n in range(40)], [list(range(40))])
    assert "+28 columns" in text and text.count("<td>") == 13
    text.encode()
