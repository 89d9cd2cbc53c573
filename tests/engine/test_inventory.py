"""What the store holds and what is being made is listed; an artifact is shown with its figures and its cost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from potstill import Pipeline, RequestError, Rows, Step
from potstill.engine.inventory import description, listing, log, show
from potstill.engine.progress import Silent


class Make(Step):
    def run(self, context: Any) -> Any:
        context.logger.info("a line")
        context.notes["usage"] = {"calls": 1200, "prompt_tokens": 34_000, "errors": 0, "cost": 0.12345}
        return [{"n": 1}]


class Measure(Step):
    rows: Rows
    many: int = 2

    def run(self, rows: Any) -> Any:
        classes = {f"class {number}": {"f1": number / 3} for number in range(self.many)}
        return {"accuracy": 0.123456789, "n": 3, "worst": "a", "none": None, "classes": classes, "curve": [1, 2]}


class Look(Step):
    """Looks at the store while it runs."""

    unkeyed = frozenset({"folder"})
    rows: Rows
    folder: str

    def run(self, rows: Any, context: Any) -> Any:
        context.logger.info("half way")
        return {"listed": listing(self.folder), "log": log(self.folder, context.key[:10])}


def test_a_step_that_runs_is_listed_and_its_log_is_there(tmp_path: Path) -> None:
    result = Make(name="made")
    run = Pipeline("p", outputs={"look": Look(result, str(tmp_path), name="look")})
    look = run.run(store=tmp_path, watcher=Silent())["look"]
    seen = json.loads((look.path / "metrics.json").read_text())
    entries = seen["listed"]
    assert [(entry["name"], entry["type"], entry["status"]) for entry in entries] == [
        ("made", "Make", "whole"),
        ("look", "Look", "running"),
    ]
    assert (entries[1]["key"], entries[1]["rows"]) == (look.key, None)
    assert "half way" in seen["log"]
    assert {entry["status"] for entry in listing(str(tmp_path))} == {"whole"}


def test_metrics_and_cost_are_shown(tmp_path: Path) -> None:
    result = Make(name="made")
    run = Pipeline("p", outputs={"m": Measure(result, name="m"), "made": result}).run(store=tmp_path, watcher=Silent())
    entry = description(str(tmp_path), run["m"].key)
    assert entry["metrics"] == json.loads((run["m"].path / "metrics.json").read_text())
    lines = [line.split() for line in show(entry).splitlines()]
    for line in ("accuracy 0.123457", "n 3", "worst a", "none None", "classes.class 1.f1 0.333333"):
        assert line.split() in lines
    assert "teacher   1,200 calls, 34,000 prompt tokens, $0.1235" in show(description(str(tmp_path), run["made"].key))
    assert "  metrics" not in show(description(str(tmp_path), run["made"].key)).splitlines()


def test_many_metrics_are_cut(tmp_path: Path) -> None:
    step = Measure(Make(name="made"), many=100, name="m")
    run = Pipeline("p", outputs={"m": step}).run(store=tmp_path, watcher=Silent())
    text = show(description(str(tmp_path), run["m"].key))
    assert len(text.splitlines()) < 70
    assert "more in metrics.json" in text


@pytest.mark.parametrize("name", ["../../../../x", "a/b", "/x", "..", ".", "", "a b", "x\0", "x" * 300, "a.b", "a\n"])
def test_an_output_must_have_a_name_that_stays_in_the_artifact(name: str) -> None:
    with pytest.raises(RequestError, match="is no name"):
        type("Wrong", (Step,), {"outputs": (name,), "run": lambda self: {name: []}})


def test_an_error_is_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from potstill.cli import main

    (tmp_path / "pipe.py").write_text(
        "from potstill import Pipeline, Step\n"
        "class Fails(Step):\n    def run(self): raise ValueError('it broke in two')\n"
        "fails = Fails()\npipeline = Pipeline('p', outputs={'x': fails})\n"
    )
    assert main(["run", str(tmp_path / "pipe.py"), "--store", str(tmp_path / "store")]) == 1
    said = capsys.readouterr()
    assert (said.out + said.err).count("it broke in two") == 1
    assert "error: fails failed; its log: potstill log" in said.err


def test_of_a_step_that_failed_before_it_had_a_log_the_error_is_what_log_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from potstill.cli import main

    (tmp_path / "pipe.py").write_text(
        "from potstill import Pipeline, Step\n"
        "class Makes(Step):\n    def run(self): return [{'a': 1}]\n"
        "pipeline = Pipeline('p', outputs={'x': Makes(name='makes')})\n"
    )
    run, store = ["run", str(tmp_path / "pipe.py"), "--store", str(tmp_path / "store"), "--json"], tmp_path / "store"
    assert main(run) == 0
    key = json.loads(capsys.readouterr().out.splitlines()[-1])["steps"][0]["key"]
    shutil.rmtree(store / "artifacts" / key)
    shutil.rmtree(store / "work", ignore_errors=True)
    (store / "work").mkdir()
    (store / "work" / key).write_text("somebody's file")
    assert main(run) == 2
    said = capsys.readouterr()
    assert "error: makes failed before it had a log" in said.err
    assert "potstill log" not in said.err
    error = json.loads(said.out.splitlines()[-1])["steps"][0]["error"]
    assert main(["log", key[:12], "--store", str(store)]) == 0
    assert capsys.readouterr().out == f"It failed before it had a log: {error}\n"
    assert main(["log", "0" * 12, "--store", str(store)]) == 2
