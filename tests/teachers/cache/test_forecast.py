"""A plan knows what a teacher will still be asked: the journal's answers, the prompts' tokens, dollars and bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from fakes import EchoTeacher
from potstill import Endpoint, Pipeline, Pool
from potstill.engine.plan import Planned
from potstill.engine.progress import Silent
from potstill.engine.step import Rows, Step
from potstill.models.edge import Model
from potstill.steps import LoadRows, MeasureCost, PseudoLabel, SelfInstruct
from potstill.teachers.openai.budget import Price

ROWS = [{"id": str(number), "instruction": f"{number}{'x' * 399}", "input": ""} for number in range(10)]


PRICE = Price(prompt=1_000.0, completion=10_000.0)


@dataclass(frozen=True)
class Priced(EchoTeacher):
    price: Price = PRICE


def labelled(rows: list[dict[str, str]], **fields: object) -> Step:
    return PseudoLabel(LoadRows(rows), teacher=Priced(), max_tokens=100, name="labels", **fields)


def planned(store: Path, step: Step) -> Planned:
    return next(one for one in Pipeline("p", outputs={"x": step}).plan(store=store) if one.name == step.name)


def run(store: Path, step: Step, **options: str) -> None:
    Pipeline("p", outputs={"x": step}).execute(store=store, watcher=Silent(), **options)


def test_answers_that_the_journal_holds_are_no_calls(tmp_path):
    run(tmp_path, labelled(ROWS[:4]))
    run(tmp_path, LoadRows(ROWS))
    estimate = planned(tmp_path, labelled(ROWS)).estimate
    assert (estimate.calls, estimate.cached) == (6, 4)
    # a prompt of 400 characters is some 100 tokens, an answer at most 100
    assert estimate.tokens == pytest.approx(6 * 200, rel=0.1)
    assert estimate.dollars == pytest.approx(6 * (100 * 0.001 + 100 * 0.01), rel=0.1)


def test_a_first_plan_names_the_price_before_any_input_exists(tmp_path):
    estimate = planned(tmp_path, labelled(ROWS)).estimate
    assert estimate.dollars == pytest.approx(10 * (100 * 0.001 + 100 * 0.01))


def test_a_pool_costs_what_its_dearest_server_does(tmp_path):
    prices = [None, PRICE, Price(prompt=2_000.0, completion=1.0)]
    endpoints = [Endpoint("http://127.0.0.1:9/v1", "m", price=price) for price in prices]
    step = PseudoLabel(LoadRows(ROWS), teacher=Pool(endpoints), max_tokens=100, name="labels")
    assert planned(tmp_path, step).estimate.dollars == pytest.approx(10 * (100 * 0.002 + 100 * 0.01))


def test_a_model_with_a_price_among_others_is_named_with_it(tmp_path):
    models = {
        "here": Endpoint("http://127.0.0.1:9/v1", "m"),
        "paid": Endpoint("http://127.0.0.1:9/v1", "n", price=PRICE),
    }
    estimate = planned(tmp_path, MeasureCost(models, LoadRows(ROWS), name="cost")).estimate
    assert estimate.dollars == pytest.approx(estimate.tokens / 2 * (0.001 + 0.01), rel=0.01)


def test_nothing_is_asked_or_written_by_a_plan(tmp_path):
    run(tmp_path, labelled(ROWS[:4]))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    run(tmp_path / "other", LoadRows(ROWS))
    planned(tmp_path, labelled(ROWS[:5]))
    assert {path for path in before if path.read_bytes() != before[path]} == set()


def test_another_parser_over_the_same_answers_costs_nothing(tmp_path):
    run(tmp_path, labelled(ROWS))
    estimate = planned(tmp_path, labelled(ROWS, answer="x+")).estimate
    assert (estimate.calls, estimate.cached, estimate.tokens, estimate.dollars) == (0, 10, 0, 0.0)


def test_long_inputs_are_sampled(tmp_path, monkeypatch):
    monkeypatch.setattr("potstill.teachers.cache.forecast.SAMPLE_ROWS", 5)
    run(tmp_path, labelled(ROWS[:5]))
    run(tmp_path, LoadRows(ROWS))
    estimate = planned(tmp_path, labelled(ROWS)).estimate
    assert estimate.cached == 10 and estimate.calls == 0  # of the first half; the plan says "about"


def test_a_step_of_several_rounds_keeps_its_bound(tmp_path):
    seeds = LoadRows([{"id": "1", "instruction": "Write a poem.", "input": "", "output": "No."}] * 9)
    run(tmp_path, seeds)
    estimate = planned(tmp_path, SelfInstruct(seeds, teacher=Priced(), target=40, name="tasks")).estimate
    assert estimate.calls >= 1 and estimate.dollars > 0


class Copy(Step):
    makes = "model"
    model: Model

    def run(self, model: Path) -> Path:
        return model


class Twice(Step):
    makes = "rows"
    rows: Rows

    def estimate(self, rows):
        from potstill.engine.step import Estimate

        return Estimate(rows=rows["rows"] and 2 * rows["rows"])

    def run(self, rows):
        return [*rows, *rows]


def test_disk_goes_by_the_inputs_where_a_step_says_nothing(tmp_path):
    import tiny

    model = tiny.causal_lm(tmp_path / "model")
    size = sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
    assert planned(tmp_path / "store", Copy(str(model), name="copy")).estimate.disk == pytest.approx(size, rel=0.05)
    rows = LoadRows(ROWS)
    run(tmp_path / "store", rows)
    stored = next((tmp_path / "store").glob("artifacts/*/manifest.json"))
    size = sum(file["size"] for file in json.loads(stored.read_text())["files"].values())
    assert planned(tmp_path / "store", Twice(rows, name="twice")).estimate.disk == pytest.approx(2 * size, rel=0.05)
