"""What pages draw: a graph that stays where it is while its steps change, curves, progress in words."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from potstill.engine.store.run_history import RunHistory, StepHistory
from potstill.engine.store.run_records import Origin
from potstill.ui.views import curves_of, figures_of, graph_of, note_of, progress_of, share_of

RUNNING = StepHistory("a", "Make", state="running", started=100.0, progress={"done": 30, "total": 120, "note": "loss"})


def test_boxes_stay_where_they_are_while_a_run_goes_on() -> None:
    waiting = StepHistory("b", "After", ("a",))
    run = RunHistory("1", Origin("p"), "running", 100.0, steps=(RUNNING, waiting), outputs={"out": "b"})
    before = graph_of(run, now=110.0)
    after = graph_of(replace(run, steps=(replace(RUNNING, state="ran", seconds=3.0), replace(waiting, state="failed"))))
    assert [one.box for one in before.steps] == [one.box for one in after.steps]
    assert [one.note for one in before.steps] == ["running, 10\u202fs", "waiting"]
    assert [one.note for one in after.steps] == ["ran, 3.00\u202fs", "failed"]
    assert [one.box.node.marked for one in before.steps] == [False, True]
    assert graph_of(replace(run, steps=())).steps == []


def test_progress_is_said_with_its_speed_and_what_is_left() -> None:
    assert progress_of(RUNNING, now=110.0) == "30/120  3.0/s  30 s left  loss"
    assert share_of(RUNNING) == 0.25
    assert progress_of(replace(RUNNING, progress={"done": "x"}), now=110.0) == ""
    assert share_of(replace(RUNNING, progress={"done": 5, "total": 0})) is None
    assert progress_of(replace(RUNNING, state="ran")) == ""
    assert note_of(StepHistory("a", "Make", state="hit", seconds=9.0)) == "cached"


def test_curves_hold_what_was_noted_and_leave_out_what_is_no_number() -> None:
    points = [{"step": step, "loss": 4.0 - step, "note": "x", "lr": float("nan")} for step in range(1, 4)]
    (loss,) = curves_of(
        {"curve": points, "evaluations": [{"step": 1, "eval_loss": 2.0}, {"step": 3, "eval_loss": 1.5}]}
    )
    assert [(one.name, one.last) for one in loss.series] == [("loss", "1"), ("eval loss", "1.5")]
    assert loss.steps == ("1", "3")
    heights = [float(place.split()[1]) for place in loss.series[0].path.removeprefix("M").split("L")]
    assert heights == sorted(heights) and len(heights) == 3
    assert all(re.fullmatch(r"M[\d. L]+", one.path) for one in loss.series)


@pytest.mark.parametrize("notes", [{}, {"curve": []}, {"curve": [{"step": 1, "loss": 1.0}]}, {"curve": "none"}])
def test_nothing_is_drawn_of_fewer_than_two_points(notes: dict[str, object]) -> None:
    assert curves_of(notes) == []


def test_figures_are_the_numbers_and_short_texts_of_nested_metrics() -> None:
    metrics = {"a": {"b": 0.5, "rows": [1, 2]}, "word": "x", "long": "x" * 999, "yes": True}
    assert list(figures_of(metrics)) == [("a.b", 0.5), ("word", "x"), ("yes", True)]


def test_a_large_run_is_folded_and_a_box_of_several_has_the_state_that_asks_most_for_a_look() -> None:
    trained = [StepHistory(f"student {number}", "Train", ("data",), "ran", "k") for number in range(80)]
    trained[7] = replace(trained[7], state="failed")
    steps = (StepHistory("data", "Load", state="hit"), *trained, StepHistory("report", "Report", ("student 3",)))
    drawn = graph_of(RunHistory("1", Origin("p"), "running", 100.0, steps=steps, outputs={"out": "report"})).steps
    assert [len(one.steps) for one in drawn] == [1, 80, 1]
    assert (drawn[1].box.node.name, drawn[1].state, drawn[1].note) == ("student …", "failed", "80 steps, failed")
    assert {step.name for one in drawn for step in one.steps} == {step.name for step in steps}
