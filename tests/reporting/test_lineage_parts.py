"""What a report says of a lineage: curves, lost rows, tokens and money, licences, seeds, the command."""

from __future__ import annotations

import json

from potstill.engine.context import Ancestor
from potstill.reporting.curves import POINTS, curves_of
from potstill.reporting.data_flow import captured, effort, flows_of
from potstill.reporting.number_formats import NONE
from potstill.reporting.origins import origins_of
from potstill.reporting.scatter import Point, front, scatter
from potstill.text.inert import plain_text


def step(name, kind="Anything", folder=None, inputs=(), **manifest):
    return Ancestor(name, kind, "k", tuple(inputs), {"params": {}, "notes": {}, "seconds": 2.0, **manifest}, folder)


def test_curves_are_thinned_and_a_flat_one_is_drawn():
    curve = [{"step": number, "loss": 3.0} for number in range(1, 2_001)]
    [drawn] = curves_of(
        [step("soft", notes={"curve": curve, "evaluations": [{"step": 2_000, "validation_loss": 4.0}]})]
    )
    loss, validation = drawn.lines
    assert loss.path.count("L") < POINTS
    assert validation.path.endswith("h0")  # one evaluation is a dot
    assert drawn.words == "training loss 3 to 3, validation loss 4 at best, 2.00\u202fs"
    assert curves_of([step("rows"), step("one point", notes={"curve": curve[:1]})]) == []


def test_points_without_a_finite_loss_or_a_step_are_left_out():
    curve = [
        {"step": 1, "loss": 2.0},
        {"step": 2, "loss": float("nan")},
        {"loss": 1.0},
        "odd",
        {"step": 3, "loss": 1.0},
    ]
    [drawn] = curves_of([step("soft", notes={"curve": curve})])
    assert "nan" not in drawn.lines[0].path


def test_lost_rows_are_shown_by_reason_with_examples(tmp_path):
    lines = [{"row": str(n), "state": "filtered", "reason": "too short", "detail": "x" * 999} for n in range(9)]
    (tmp_path / "lost.jsonl").write_text("\n".join(map(json.dumps, lines)))
    counts = {"kept": 5, "filtered": {"too short": 9}, "failed": {"timed out": 1}}
    [flow] = flows_of([step("clean", folder=tmp_path, rows=5, counts=counts)])
    short, failed = flow.losses
    assert (short.count, len(short.examples), failed.failed, failed.examples) == (9, 3, True, ())
    assert len(short.examples[0][1]) <= 240
    assert flow.total == 15


def test_tokens_money_and_time_are_summed():
    asked = {"calls": 3, "cached": 1, "errors": 0, "prompt_tokens": 100, "completion_tokens": 50, "cost": 0.25}
    table = effort([step("ask", notes={"usage": asked}), step("train", notes={"target tokens": 7}), step("rows")])
    assert [line[0] for line in table.lines] == ["ask", "train", "all steps"]
    assert table.lines[-1] == ("all steps", "3", "1", NONE, "100", "50", "$0.25", NONE, "6.00\u202fs")
    assert "Price" in table.head
    assert effort([step("rows")]) is None


def test_captured_probability_is_said():
    [sentence] = captured([step("labels", notes={"captured_mass": 0.7812}, params={"top_k": 32})])
    assert (
        sentence
        == "The soft labels of labels, the 32 most probable tokens, hold 78.12\u202f% of the teacher's probability."
    )


def test_origins_name_no_path_of_this_machine(tmp_path):
    (tmp_path / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    lineage = [
        step("seeds", "LoadSeeds", params={"path": str(tmp_path / "seeds.jsonl"), "seed": 3}, makes="rows"),
        step(
            "student",
            "HardLabel",
            inputs=("seeds",),
            params={"student": str(tmp_path), "seed": 3},
            makes="model",
            file=f"../../{tmp_path}/page.py",
            host={"name": "secret", "platform": "Linux", "cpus": 2},
        ),
    ]
    origins = origins_of(lineage)
    assert str(tmp_path.parent) not in repr(origins)
    assert "secret" not in repr(origins)
    assert origins.command == "potstill run page.py"
    assert origins.seeds == "The seed of all steps that draw anything is 3."
    assert "restrictive" in origins.licences
    assert {terms for *_, terms in origins.sources} == {"restrictive"}


def test_the_front_is_what_none_surpasses():
    places = [(1, 0.5), (2, 0.4), (3, 0.7), (3, 0.7), (3, 0.6), (9, 0.7), (10, 0.9)]
    points = [Point(str(number), size, value, value, value) for number, (size, value) in enumerate(places)]
    brute = [
        one.label
        for one in points
        if not any(
            other.size <= one.size and other.value >= one.value and (other.size, other.value) != (one.size, one.value)
            for other in points
        )
    ]
    assert [one.label for one in front(points)] == brute == ["0", "2", "3", "6"]
    assert scatter(points).front.count("H") == 3
    assert scatter(points[:1]).front == ""


def test_text_in_markdown_acts_on_nothing():
    assert plain_text("![x](http://e)\n<b>|") == "\\!\\[x\\]\\(http\\://e\\) \\<b\\>\\|"
