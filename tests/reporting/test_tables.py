"""The flat table: all figures side by side, and no text that a spreadsheet would compute."""

from __future__ import annotations

import csv
import io
import random

import pytest

from potstill.reporting.costs import Cost
from potstill.reporting.model_table import evaluations_of, sections_of
from potstill.reporting.tables import as_csv, flat


@pytest.mark.parametrize("label", ["=1+1", "+1", "-1", "@sum", "plain"])
def test_a_label_is_never_a_formula(label):
    metrics = {"sets": {"test": {"n": 4, "exact_match": 0.5, "change": -1.5}}}
    sections = sections_of(evaluations_of({label: metrics}, ["evaluate"], []), "")
    [row] = csv.DictReader(io.StringIO(as_csv(flat(sections))))
    assert row["model"] == (label if label == "plain" else f"'{label}")
    assert (row["exact_match"], row["change"]) == ("0.5", "-1.5")


RUNTIMES = ("vllm 1", "llama.cpp 7", "ONNX Runtime 2")


def answered(runtime, speed):
    sets = {"test": {"n": 4, "exact_match": 0.5}, "hand": {"n": 4, "exact_match": 0.25}}
    return {"sets": sets, "tokens_per_s": speed, "first_token_ms_p50": 3.0, "engine": {"runtime": runtime}}


def cost(label, runtime, speed, step="cost"):
    figures = {"label": label, "runtime": runtime, "weights_bytes": 9, "load_s": 1.5, "tokens_per_s_at_8": speed}
    spread = {"load_s": [1.0, 2.0]}
    return Cost(label, step, {**figures, "joules_per_token_at_8": None, "peak_memory_bytes": 7, "spread": spread})


def table(models, costs):
    sections = sections_of(evaluations_of(models, list(models), []), "", (), costs)
    rows = list(csv.DictReader(io.StringIO(as_csv(flat(sections, costs)))))
    return [{name: text for name, text in row.items() if text} for row in rows]


@pytest.mark.parametrize("seed", range(20))
def test_no_column_of_speed_has_figures_of_two_runtimes(seed):
    draw = random.Random(seed)
    runtimes = {f"m{number}": draw.choice(RUNTIMES) for number in range(draw.randint(1, 5))}
    models = {label: answered(runtime, 10.0 + place) for place, (label, runtime) in enumerate(runtimes.items())}
    served = {label: draw.choice(RUNTIMES) for label in [*runtimes, "other"] if draw.random() < 0.7}
    costs = [cost(label, runtime, 100.0 + place) for place, (label, runtime) in enumerate(served.items())]
    rows = table(models, costs)
    by_column = {}
    for row in rows:
        for column in row:
            if column.startswith(("tokens_per_s_at", "load_s", "peak_memory")):
                by_column.setdefault(column, set()).add(served[row["model"]])
            elif column.startswith(("tokens_per_s", "first_token")):
                by_column.setdefault(column, set()).add(runtimes[row["model"]])
    assert all(len(ran) == 1 for ran in by_column.values())
    # and nothing is lost: every model has each speed that was measured of it, on both of its test sets
    for label in runtimes:
        for row in (one for one in rows if one["model"] == label):
            assert sum(column.startswith("tokens_per_s") for column in row) == 1 + (label in served)
    assert {row["model"] for row in rows} == {*runtimes, *served}


def test_speeds_of_measure_cost_are_named_by_their_runtime_and_those_of_one_runtime_are_as_before():
    rows = table({"a": answered("vllm 1", 5.0)}, [cost("a", "vllm 1", 50.0), cost("b", "llama.cpp 7", 60.0)])
    assert [(row["model"], row["kind"], row.get("set", "")) for row in rows] == [
        ("a", "Answers", "test"),
        ("a", "Answers", "hand"),
        ("b", "Cost of serving", ""),
    ]
    assert rows[0]["tokens_per_s"] == "5.0"
    assert rows[0]["tokens_per_s_at_8, vllm 1 (MeasureCost)"] == "50.0"
    assert rows[2]["tokens_per_s_at_8, llama.cpp 7 (MeasureCost)"] == "60.0" and rows[2]["weights_bytes"] == "9"
    assert not any("joules" in name or "spread" in name for name in rows[0])


def test_two_steps_that_measured_costs_have_columns_of_their_own():
    rows = table({"a": answered("vllm 1", 5.0)}, [cost("a", "vllm 1", 50.0), cost("a", "vllm 1", 60.0, "short")])
    assert rows[0]["load_s, vllm 1 (cost)"] == "1.5"
    assert rows[2]["tokens_per_s_at_8, vllm 1 (short)"] == "60.0"


def test_a_model_that_could_not_be_measured_has_no_row():
    failed = Cost("b", "cost", {"label": "b", "weights_bytes": 9, "error": "no such operator"})
    assert [row["model"] for row in table({"a": answered("vllm 1", 5.0)}, [failed])] == ["a", "a"]
