"""Runs: hits, misses, failures and what they leave alone; several outputs; clear records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from counting import Add, Fails, Make, statuses
from potstill import BadInput, Pipeline, RequestError, Rows, Step, StepFailed
from potstill.engine.progress import Silent
from potstill.engine.records import Record
from potstill.engine.step import Metrics
from potstill.models.edge import Model
from projects import values


class Halves(Step):
    outputs = ("low", "high")
    rows: Rows

    def run(self, rows: Any) -> Any:
        return {"low": [row for row in rows if row["n"] < 2], "high": [row for row in rows if row["n"] >= 2]}


class Sum(Step):
    parts: dict[str, Rows] | list[Rows]
    metrics: Metrics | None = None
    model: Model | None = None

    def run(self, parts: Any, metrics: Any, model: Any = None) -> Any:
        sets = parts.values() if isinstance(parts, Mapping) else parts
        return {"sum": sum(row["n"] for part in sets for row in part), "more": metrics, "model": str(model)}


class Folder(Step):
    makes = "model"

    def run(self, context: Any) -> Any:
        (context.out / "config.json").write_text("{}")
        (context.out / "model.safetensors").write_text("x")
        context.logger.info("written")
        return context.out


class Passes(Step):
    makes = "model"
    model: Model

    def run(self, model: Path) -> Path:
        return model


class Watching(Silent):
    def __init__(self) -> None:
        self.said_: list[str] = []
        self.finished_: list[Record] = []

    def finished(self, record: Record) -> None:
        self.finished_.append(record)

    def said(self, message: str) -> None:
        self.said_.append(message)


def test_a_second_run_runs_nothing(run: Any, ran: Any) -> None:
    first = run({"end": Add(Make())})
    assert (statuses(first), ran()) == (["ran", "ran"], ["make", "add 1"])
    assert statuses(run({"end": Add(Make())})) == ["hit", "hit"]
    assert ran() == ["make", "add 1"]
    assert values(first["end"].path, "n") == [1, 2, 3]


def test_a_step_that_two_others_need_runs_once(run: Any, ran: Any) -> None:
    result = Make()
    assert statuses(run({"sum": Sum([Add(result), Add(result, by=2)])})) == ["ran"] * 4
    assert ran().count("make") == 1


def test_equal_steps_run_once(run: Any, ran: Any) -> None:
    done = run({"sum": Sum([Add(Make()), Add(Make())])}, jobs=2)
    assert sorted(statuses(done)) == ["hit", "hit", "ran", "ran", "ran"]
    assert ran() == ["make", "add 1"]


def test_inputs_arrive_in_the_containers_they_were_given_in(run: Any) -> None:
    halves = Halves(Make(4))
    done = run({"sum": Sum({"a": halves.low, "b": Make(2)}, metrics=Sum([halves.high]), model=Folder())})
    import json

    actual = json.loads((done["sum"].path / "metrics.json").read_text())
    assert (actual["sum"], actual["more"]["sum"]) == (2, 5)
    assert Path(actual["model"], "config.json").exists()


def test_an_output_of_several_is_keyed_by_its_own_content(run: Any) -> None:
    run({"low": Sum([Halves(Make(4)).low]), "high": Sum([Halves(Make(4)).high])})
    again = run({"low": Sum([Halves(Make(5)).low]), "high": Sum([Halves(Make(5)).high])})
    assert [record.status for record in again.outputs.values()] == ["hit", "ran"]
    assert (again["low"].rows, again.records[0].artifact.rows) == (None, 5)


def test_a_folder_may_be_passed_on(run: Any) -> None:
    done = run({"end": Passes(Passes(Folder()))})
    assert statuses(done) == ["ran", "ran", "hit"]  # the same content passed on in the same way
    assert (done["end"].path / "model.safetensors").read_text() == "x"
    assert "written" not in (done["end"].path / "log.txt").read_text()


def test_a_failed_step_leaves_the_other_branches_alone(run: Any) -> None:
    result = Make()
    failing = Fails(result)
    done = run({"bad": Add(failing), "good": Add(result)})
    assert [(record.type, record.status) for record in done.records] == [
        ("Make", "ran"),
        ("Fails", "failed"),
        ("Add", "skipped"),
        ("Add", "ran"),
    ]
    assert [record.status for record in done.outputs.values()] == ["skipped", "ran"]
    assert done.outputs["bad"].error == "not run: Fails(Make) failed"
    assert done.failed[0].error == "ValueError: no"
    with pytest.raises(StepFailed, match="not run"):
        _ = done["bad"]


def test_running_from_python_raises_what_failed(tmp_path: Path) -> None:
    pipeline = Pipeline("p", outputs={"bad": Fails(Make())})
    with pytest.raises(StepFailed, match=r"Fails\(Make\): ValueError: no"):
        pipeline.run(store=tmp_path, watcher=Silent())
    with pytest.raises(RequestError, match="no"):
        Pipeline("p", outputs={"bad": Fails(Make(), how=RequestError)}).run(store=tmp_path, watcher=Silent())
    assert sorted(Pipeline("p", outputs={"good": Make()}).run(store=tmp_path, watcher=Silent())) == ["good"]


def test_nothing_runs_when_anything_is_wrong(run: Any, ran: Any) -> None:
    with pytest.raises(RequestError, match="must be int"):
        run({"a": Make(), "b": Add(Make(), by="1")})
    assert ran() == []


@pytest.mark.parametrize("returned", [None, 5, "nowhere", [1, 2]])
def test_what_is_no_result_is_a_failure(run: Any, returned: Any) -> None:
    class Odd(Step):
        value: Any = None

        def run(self) -> Any:
            return self.value

    done = run({"odd": Odd(returned)})
    assert done.records[0].status == "failed"
    assert statuses(run({"odd": Odd(returned)})) == ["failed"]


def test_outputs_must_be_those_that_were_named(run: Any) -> None:
    class Lies(Step):
        outputs = ("a", "b")

        def run(self) -> Any:
            return {"a": []}

    lies = Lies()
    assert "must return a dict of its outputs" in run({"a": lies.a}).records[0].error


@pytest.mark.parametrize("outputs", [{}, {"a": 5}])
def test_a_pipeline_needs_outputs_that_are_steps(run: Any, outputs: Any) -> None:
    with pytest.raises(RequestError, match=r"no outputs|must be a step"):
        run(outputs)


def test_only_what_an_output_needs_is_run_and_the_rest_is_not_forgotten(tmp_path: Path, run: Any) -> None:
    from potstill.engine.inventory import collect

    outputs = {"one": Add(Make()), "two": Add(Make(5), by=2)}
    run(outputs)
    assert [record.name for record in run(outputs, only="one").records] == ["Make", "outputs[one]"]
    run({"one": Add(Make(), by=7), "two": Add(Make(5), by=2)}, only="one")
    collect(str(tmp_path / "store"))
    assert statuses(run({"one": Add(Make(), by=7), "two": Add(Make(5), by=2)})) == ["hit"] * 4
    with pytest.raises(RequestError, match="no output 'three'; it has one, two"):
        run(outputs, only="three")


def test_a_users_own_step_as_the_readme_shows_it(run: Any) -> None:
    class Shout(Step):
        rows: Rows  # an edge: any step that makes rows
        suffix: str = "!"  # a parameter

        def run(self, rows):  # type: ignore[no-untyped-def]
            return rows.map(lambda row: {"text": str(row["n"]) + self.suffix})

    done = run({"loud": Shout(Make(2))})
    assert values(done["loud"].path, "text") == ["0!", "1!"]


def test_rows_may_be_given_in_any_form(run: Any) -> None:
    import pandas as pd
    import pyarrow as pa

    class Give(Step):
        form: str = ""

        def run(self) -> Any:
            columns = {"n": [1, 2]}
            return {
                "frame": pd.DataFrame(columns),
                "table": pa.table(columns),
                "list": [{"n": 1}, {"n": 2}],
                "generator": ({"n": n} for n in (1, 2)),
            }[self.form]

    done = run({form: Give(form) for form in ("frame", "table", "list", "generator")})
    assert len({done[form].digest() for form in done}) == 1
    assert done["frame"].rows == 2


def test_the_manifest_says_what_the_artifact_is(run: Any) -> None:
    manifest = run({"end": Add(Make(), by=5, name="plus")})["end"].manifest
    assert (manifest["name"], manifest["type"], manifest["rows"], manifest["pipeline"]) == ("plus", "Add", 3, "p")
    assert manifest["params"] == {"by": 5}
    assert manifest["inputs"] == {"rows": ["Make"]}
    assert manifest["counts"]["kept"] == 3
    assert {"python", "potstill", "datasets"} <= manifest["versions"].keys()
    assert manifest["host"]["name"]
    assert manifest["seconds"] >= 0


def test_lineage_is_given_to_steps_that_want_it_and_keyed(run: Any) -> None:
    class Report(Step):
        wants_lineage = True
        makes = "report"
        rows: Rows

        def run(self, rows: Any, context: Any) -> Any:
            (context.out / "index.html").write_text(" ".join(f"{a.name}:{a.type}" for a in context.lineage))
            return context.out

    report = run({"report": Report(Add(Make()))})["report"]
    assert (report.path / "index.html").read_text() == "Make:Make Add(Make):Add"
    assert report.manifest["makes"] == "report"
    assert statuses(run({"report": Report(Add(Make()))})) == ["hit"] * 3


def test_the_seed_may_be_left_open(run: Any) -> None:
    class Seeded(Step):
        seed: int | None = None

        def run(self, context: Any) -> Any:
            return {"seed": context.seed}

    assert statuses(run({"a": Seeded(), "b": Seeded(4)})) == ["ran", "ran"]


def test_a_corrupt_artifact_is_warned_about_once(run: Any, tmp_path: Path) -> None:
    path = run({"made": Make()})["made"].path
    (path / "manifest.json").write_text("{")
    watching = Watching()
    assert statuses(run({"made": Make()}, watcher=watching)) == ["ran"]
    assert len(watching.said_) == 1
    assert "corrupt" in watching.said_[0]


def test_the_rows_of_an_output_are_read_from_the_run(tmp_path: Path) -> None:
    halves = Halves(Make())
    run = Pipeline("read", outputs={"low": halves.low, "high": halves.high}).run(store=tmp_path, watcher=Silent())
    assert run["low"].dataset().to_list() == [{"n": 0}, {"n": 1}]
    assert run["high"].to_pandas()["n"].tolist() == [2]
    assert (run["low"].rows, run["high"].rows) == (2, 1)
    assert run["low"].key == run["high"].key


def test_results_of_all_steps_are_at_hand(tmp_path: Path) -> None:
    class Measure(Step):
        makes = "metrics"
        rows: Rows

        def run(self, rows: Any) -> Any:
            return {"rows": len(rows)}

    class Numbers(Step):
        makes = "rows"

        def run(self) -> Any:
            return [{"n": 1}, {"n": 2}]

    numbers = Numbers(name="numbers")
    run = Pipeline("p", outputs={"count": Measure(numbers)}).execute(store=tmp_path, watcher=Silent())
    assert run["count"].metrics == {"rows": 2}
    assert list(run.steps["numbers"].to_pandas()["n"]) == [1, 2]
    assert repr(run.steps["numbers"]) == f"<rows of numbers, 2 rows: {run.steps['numbers'].path}>"
    with pytest.raises(BadInput, match="holds no metrics"):
        _ = run.steps["numbers"].metrics
