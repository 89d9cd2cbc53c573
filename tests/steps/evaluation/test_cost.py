"""MeasureCost: fresh processes in turn, figures that fit together, and a model that fails costs only itself."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from datasets import Dataset

import tiny
from fakes import EchoTeacher, context_in
from potstill import Transformers
from potstill.errors import BadInput, PotstillError
from potstill.models.footprint import bytes_by_part, footprint
from potstill.steps import LoadRows, MeasureCost
from potstill.steps.evaluation.cost import summary
from potstill.steps.evaluation.cost_process import Protocol, measure
from potstill.teachers.protocol import Request, Sampling
from running import problems_of

ROWS = [{"instruction": f"turn on the light in room {n}"} for n in range(4)]
FAST = {"max_tokens": 4, "concurrent": (1, 4), "waves": 1, "requests": 3, "warmup": 1, "repeats": 2}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.causal_lm(tmp_path_factory.mktemp("model") / "student")


def requests(count=3):
    chats = [[{"role": "user", "content": f"question {n}"}] for n in range(count)]
    return [Request(chat, Sampling(max_tokens=8)) for chat in chats]


@pytest.mark.slow
def test_models_are_measured_in_processes_of_their_own_and_one_that_fails_costs_only_itself(tmp_path, model):
    models = {"student": Transformers(str(model)), "broken": Transformers(str(tmp_path / "nothing"))}
    context = context_in(tmp_path)
    metrics = MeasureCost(models, LoadRows(ROWS), **FAST).run(models, Dataset.from_list(ROWS), context)
    own = metrics["costs"]["student"]
    assert own["load_s"] > 0 and own["per_token_ms_p50"] > 0
    assert own["first_token_ms_p50"] <= own["first_token_ms_p95"]
    assert own["tokens_per_s_at_1"] > 0 and own["tokens_per_s_at_4"] > 0
    # this process holds pytest and more: the child's own peak is what counts
    assert 50e6 < own["peak_memory_bytes"] < 4e9
    assert own["spread"]["load_s"][0] < own["spread"]["load_s"][1]  # two processes
    assert own["parameters"] == footprint(model).parameters
    assert sum(own["bytes_by_part"].values()) == own["weights_bytes"]
    assert own["failed"] == 0
    assert "nothing" in metrics["costs"]["broken"]["error"]
    assert "load_s" not in metrics["costs"]["broken"]
    json.dumps(metrics, allow_nan=False)


def test_bytes_by_part_are_those_of_the_files(model):
    parts = bytes_by_part(model)
    assert {"attention", "embeddings", "feed-forward", "norms", "files"} <= set(parts)
    assert sum(parts.values()) == footprint(model).weights_bytes
    assert parts["feed-forward"] > parts["norms"]


def test_latencies_are_of_single_requests_and_rates_of_many():
    teacher = EchoTeacher(delay=0.004)
    cost = measure(teacher, requests(), Protocol(1, 1, 4, (1, 3), 2))
    assert len(cost.first_token_s) == 4 and min(cost.first_token_s) >= 0.004
    assert len(cost.per_token_s) == 4
    # six words of an answer in 4 ms and a little
    assert 0 < cost.tokens_per_s["1"] <= 6 / 0.004
    assert cost.failed == 0


def test_requests_that_fail_are_counted_and_no_figure():
    teacher = EchoTeacher(failing=("question 0",))
    cost = measure(teacher, requests(2), Protocol(1, 0, 4, (2,), 1))
    assert cost.failed == 3  # two by themselves, one among many
    assert len(cost.first_token_s) == 2


def test_figures_of_processes_are_put_together_and_memory_elsewhere_is_unknown():
    one = measure(EchoTeacher(), requests(), Protocol(1, 0, 2, (1,), 1))
    both = [replace(one, load_s=1.0), replace(one, load_s=3.0)]
    assert summary(both)["load_s"] == 2.0
    assert summary(both)["spread"]["load_s"] == [1.0, 3.0]
    assert summary(both, runs_here=False)["peak_memory_bytes"] is None
    assert one.energy_by and set(one.joules_per_token) == {"1"}
    both = [replace(one, joules_per_token={"1": value}) for value in (2.0, 3.0)]
    assert summary(both)["joules_per_token_at_1"] == 2.5
    assert summary([replace(one, joules_per_token={"1": None})])["joules_per_token_at_1"] is None
    nothing = replace(one, first_token_s=[], per_token_s=[])
    assert summary([nothing])["per_token_ms_p95"] is None


def test_what_is_wrong_is_said(tmp_path):
    problems = problems_of(MeasureCost({"a": "some/model"}, LoadRows(ROWS), concurrent=()))
    assert any("concurrent: is empty" in problem for problem in problems)
    models = {"a": Transformers(str(tmp_path / "none"))}
    with pytest.raises(BadInput, match="no rows to ask"):
        MeasureCost(models, LoadRows(ROWS)).run(models, Dataset.from_list([]), context_in(tmp_path))


@pytest.mark.slow
def test_where_no_model_can_be_measured_the_step_fails_with_every_reason(tmp_path):
    models = {"a": Transformers(str(tmp_path / "none"))}
    with pytest.raises(PotstillError, match=r"a can't be measured: .*none"):
        MeasureCost(models, LoadRows(ROWS), **FAST).run(models, Dataset.from_list(ROWS), context_in(tmp_path))


@pytest.mark.slow
def test_a_model_whose_requests_all_fail_has_an_error_and_no_figures(tmp_path):
    models = {"fine": EchoTeacher(), "failing": EchoTeacher(model="f", failing=("turn on",))}
    context = context_in(tmp_path)
    costs = MeasureCost(models, LoadRows(ROWS), **FAST).run(models, Dataset.from_list(ROWS), context)["costs"]
    assert costs["fine"]["tokens_per_s_at_4"] > 0
    assert "all" in costs["failing"]["error"] and "tokens_per_s_at_4" not in costs["failing"]


def test_the_requests_of_all_processes_are_estimated():
    teacher = EchoTeacher()
    estimate = MeasureCost({"a": teacher, "b": teacher}, LoadRows(ROWS), **FAST).estimate({"rows": 4})
    # warm-up 1 and 4, three single ones twice, waves of 1 and 4; two models, two processes each
    assert estimate.calls == 2 * 2 * (1 + 4 + 2 * 3 + 1 + 4)
    assert estimate.tokens == 2 * 2 * (1 + 4 + 3 + 1 + 4) * 4
