"""A plan names the reason of each miss and what it will cost, and executes and writes nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from potstill import Pipeline, Rows, Step
from potstill.engine.plan import Planned
from potstill.engine.progress import Silent
from potstill.engine.step import Estimate


class Make(Step):
    n: int = 3
    extra: Any = None

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        return Estimate(rows=self.n, disk=10)

    def run(self) -> Any:
        return ({"n": number} for number in range(self.n))


class Ask(Step):
    rows: Rows

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        count = rows["rows"] or 0
        return Estimate(rows=count, calls=count, tokens=100 * count)

    def run(self, rows: Any) -> Any:
        return list(rows)


class Join(Step):
    rows: list[Rows]

    def estimate(self, rows: Mapping[str, int | None]) -> Estimate:
        return Estimate(rows=rows["rows"])

    def run(self, rows: Any) -> Any:
        return [{"n": len(part)} for part in rows]


def plan(store: Path, **outputs: Step) -> dict[str, Planned]:
    return {step.name: step for step in Pipeline("p", outputs=outputs).plan(store=store)}


def run(store: Path, **outputs: Step) -> None:
    Pipeline("p", outputs=outputs).execute(store=store, watcher=Silent())


def test_a_first_plan_writes_nothing_and_counts_what_it_will_cost(tmp_path: Path) -> None:
    planned = plan(tmp_path / "store", ask=Ask(Make(4, name="made"), name="ask"))
    assert [(step.status, step.reasons) for step in planned.values()] == [
        ("miss", ("first run",)),
        ("miss", ("first run", "input made will be made")),
    ]
    assert planned["ask"].estimate == Estimate(rows=4, calls=4, tokens=400)
    assert planned["ask"].key == ""
    assert not (tmp_path / "store").exists()


def test_everything_cached_is_all_hits_and_costs_nothing(tmp_path: Path) -> None:
    run(tmp_path, ask=Ask(Make(4, name="made"), name="ask"))
    planned = plan(tmp_path, ask=Ask(Make(4, name="made"), name="ask"))
    assert [(step.status, step.reasons) for step in planned.values()] == [("hit", ())] * 2
    assert planned["ask"].estimate == Estimate(rows=4)
    assert len(planned["ask"].key) == 32


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (Make(5, name="made"), "parameter n changed from 4 to 5"),
        (Make(4, "x", name="made"), "parameter extra changed from None to x"),
    ],
)
def test_the_reason_names_the_parameter(tmp_path: Path, change: Step, reason: str) -> None:
    run(tmp_path, ask=Ask(Make(4, name="made"), name="ask"))
    planned = plan(tmp_path, ask=Ask(change, name="ask"))
    assert planned["made"].reasons == (reason,)
    assert planned["ask"].reasons == ("input made will be made",)


def test_downstream_rows_are_estimated_from_hits(tmp_path: Path) -> None:
    run(tmp_path, made=Make(4, name="made"), other=Make(2, name="other"))
    result, other = Make(4, name="made"), Make(2, name="other")
    planned = plan(tmp_path, join=Join([result, other], name="join"), ask=Ask(result, name="ask"))
    assert planned["ask"].estimate.calls == 4
    assert planned["join"].estimate.rows == 6
    assert planned["join"].reasons == ("first run",)


def test_another_type_under_the_same_name(tmp_path: Path) -> None:
    run(tmp_path, step=Make(name="step"))

    class Other(Step):
        def run(self) -> Any:
            return []

    reasons = plan(tmp_path, step=Other(name="step"))["step"].reasons
    assert reasons[0] == f"type changed from Make to {Other.__qualname__}"


def test_a_change_of_code_under_another_python_names_the_python_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(word: str) -> Step:
        class Say(Step):
            def run(self) -> Any:
                return [{"word": word}]

        return Say(name="say")

    run(tmp_path, say=step("a"))
    assert not [reason for reason in plan(tmp_path, say=step("b"))["say"].reasons if "Python" in reason]
    monkeypatch.setattr("platform.python_version", lambda: "3.99.0")
    assert (
        f"Python changed from {sys.version_info[0]}.{sys.version_info[1]} to 3.99"
        in plan(tmp_path, say=step("b"))["say"].reasons
    )
    assert plan(tmp_path, say=step("a"))["say"].status == "hit"


def test_what_was_collected_or_removed_is_said(tmp_path: Path) -> None:
    import shutil

    run(tmp_path, made=Make(name="made"))
    shutil.rmtree(tmp_path / "artifacts")
    assert plan(tmp_path, made=Make(name="made"))["made"].reasons == ("its artifact is no longer in the store",)


def test_a_step_that_did_not_finish_is_not_called_lost(tmp_path: Path) -> None:
    class Breaks(Step):
        def run(self) -> Any:
            raise ValueError("no")

    run(tmp_path, step=Breaks(name="step"))
    assert plan(tmp_path, step=Breaks(name="step"))["step"].reasons == ("it did not finish last time",)


def test_a_run_does_what_was_planned(tmp_path: Path) -> None:
    run(tmp_path, ask=Ask(Make(4, name="made"), name="ask"))
    result = Make(4, name="made")
    changed = Ask(result, name="ask"), Join([result], name="join")
    planned = Pipeline("p", outputs=dict(zip("ab", changed, strict=True))).plan(store=tmp_path)
    done = Pipeline("p", outputs=dict(zip("ab", changed, strict=True))).execute(store=tmp_path, watcher=Silent())
    assert [(step.name, {"hit": "hit", "miss": "ran"}[step.status]) for step in planned] == [
        (record.name, record.status) for record in done.records
    ]
    assert [record.status for record in done.records] == ["hit", "hit", "ran"]
    assert [step.key for step in planned] == [record.key for record in done.records]
