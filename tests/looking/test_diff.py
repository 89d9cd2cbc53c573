"""Two runs are compared step by step: parameters, code, rows, losses and figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from potstill import Pipeline, Rows, Step
from potstill.cli import main
from potstill.engine.progress import Silent
from potstill.engine.store.run_history import histories
from potstill.looking.diff import compare, described


class Make(Step):
    n: int = 3

    def run(self) -> Any:
        return [{"n": number} for number in range(self.n)]


class Drop(Step):
    rows: Rows
    least: int = 1
    note: str = ""

    def run(self, rows: Any, context: Any) -> Any:
        kept = [row for row in rows if row["n"] >= self.least]
        for number in range(len(rows) - len(kept)):
            context.ledger.lose(str(number), "filtered", "too small")
        return kept


class Measure(Step):
    rows: Rows

    def run(self, rows: Any) -> Any:
        count = len(rows)
        return {"accuracy": count / 10, "classes": {"a": {"f1": 0.5}}, "n": count, "word": "x", "yes": True}


def made(folder: Path, pipeline: str = "p", name: str = "score", **parameters: Any) -> Any:
    rows = Make(parameters.pop("n", 3), name="rows")
    dropped = Drop(rows, **parameters, name="dropped")
    score = Measure(dropped, name=name)
    return Pipeline(pipeline, outputs={"score": score}).run(store=folder, watcher=Silent())


def test_two_keys_are_compared_with_all_that_they_were_made_from(tmp_path: Path) -> None:
    first, second = (made(tmp_path, least=least)["score"].key for least in (1, 2))
    steps = {step.name: step for step in compare(str(tmp_path), first[:12], second[:12])}
    assert {name: step.state for name, step in steps.items()} == {
        "rows": "same",
        "dropped": "changed",
        "score": "changed",
    }
    assert steps["dropped"].changes == ["parameter least changed from 1 to 2"]
    assert steps["score"].changes == ["input rows changed"]
    assert steps["dropped"].both("rows") == (2, 1)
    assert steps["score"].figures["accuracy"] == (0.2, 0.1)
    text = described(list(steps.values()))
    assert "  rows  2 -> 1 (-1)" in text
    assert "  filtered: too small  1 -> 2 (+1)" in text
    assert "0.2 -> 0.1 (-0.1)" in text
    assert "classes.a.f1" not in text  # equal
    assert text.endswith("1 of 3 steps are the same")


def test_another_key_may_have_made_the_same(tmp_path: Path) -> None:
    first, second = (made(tmp_path, note=note)["score"].key for note in ("a", "b"))
    assert first == second  # what was made is the same, so the next step is a hit
    runs = [made(tmp_path, note=note).steps["dropped"].key for note in ("a", "b")]
    states = [step.state for step in compare(str(tmp_path), *runs)]
    assert states == ["same", "same content"]


def test_steps_of_other_names_belong_together_by_place_and_type(tmp_path: Path) -> None:
    first, second = made(tmp_path, name="small")["score"].key, made(tmp_path, n=9, name="large")["score"].key
    steps = compare(str(tmp_path), first, second)
    assert [step.name for step in steps] == ["rows", "dropped", "small / large"]
    rows = made(tmp_path).steps["rows"].key
    other = made(tmp_path, note="x").steps["dropped"].key
    assert [step.state for step in compare(str(tmp_path), first, other)] == [
        "same",
        "same content",
        "only in the first",
    ]
    assert [step.state for step in compare(str(tmp_path), rows, first)] == ["same", *["only in the second"] * 2]


def test_last_runs_are_found_by_the_name_of_the_pipeline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "one")
    made(tmp_path, "two", n=5)
    assert main(["diff", "one", "two", "--store", str(tmp_path), "--json"]) == 0
    actual = json.loads(capsys.readouterr().out)
    assert [step["state"] for step in actual["steps"]] == ["changed"] * 3
    assert actual["steps"][0]["changes"] == ["parameter n changed from 3 to 5"]
    assert actual["steps"][2]["metrics"]["accuracy"] == [0.2, 0.4, 0.2]
    assert actual["steps"][2]["metrics"]["classes.a.f1"] == [0.5, 0.5, 0.0]
    assert main(["diff", "one", "one", "--store", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "3 of 3 steps are the same\n"


def test_what_is_not_there_is_refused_with_the_nearest_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = made(tmp_path, "pipeline")["score"].key
    for wrong, meant in (("pipelin", "pipeline"), (key[:10] + "zz", key)):
        assert main(["diff", wrong, key, "--store", str(tmp_path)]) == 2
        assert f"did you mean {meant}?" in capsys.readouterr().err


def test_what_is_gone_is_known_from_the_records(tmp_path: Path) -> None:
    import shutil

    first = made(tmp_path, "one")
    second = made(tmp_path, "two", n=5)
    shutil.rmtree(tmp_path / "artifacts" / first.steps["rows"].key)
    steps = compare(str(tmp_path), first["score"].key, second["score"].key)
    assert (steps[0].name, steps[0].state) == ("rows", "changed")
    assert steps[0].changes == ["parameter n changed from 3 to 5"]
    assert steps[0].both("rows") == (None, 5)


def test_a_run_is_named_by_its_history_also_when_another_followed(tmp_path: Path) -> None:
    made(tmp_path, least=1)
    made(tmp_path, least=2)
    first, second = sorted(histories(tmp_path), key=lambda run: run.began)
    steps = {step.name: step.state for step in compare(str(tmp_path), first.id, second.id)}
    assert steps == {"rows": "same", "dropped": "changed", "score": "changed"}
