"""Sections of what a judge, a teacher, a choice or the harness measured, and what models cost: whose word, how sure."""

from __future__ import annotations

import json

import pytest

from evaluating import report_context
from potstill.engine.context import Ancestor
from potstill.metrics.answers import packed, wilson
from potstill.metrics.judging import Pair, grade_figures, pair_figures
from potstill.steps import LoadRows, Report
from potstill.steps.evaluation.harness.scores import Measured


def share(name, right):
    result = wilson(sum(right), len(right))
    return {name: result.value, f"{name}_low": result.low, f"{name}_high": result.high}


def kept(right):
    return {"n": len(right), "row_right": packed(right), "row_digest": "same"}


def choices(right, by="sum", chance=0.25):
    scores = {**kept(right), **share("accuracy", right), "chance": chance, "ties": 2, "errors": 0}
    return {"sets": {"test": scores}, "engine": {"label": "engine", "by": by}}


def agreement(right, kl=0.2):
    tokens = {"same_tokens": 0.9, "top1": 0.8, "kl": kl, "kl_low": kl / 2, "kl_high": 2 * kl, "mass": 0.99, "tokens": 9}
    scores = {**kept(right), **share("agreement", right), **tokens}
    return {"sets": {"test": scores}, "teacher": "the big one", "engine": {"top_k": 64}}


def grades(values, **fields):
    scores = {"n": len(values), "lost": 1, "low": 1, "high": 5, **grade_figures(values, **fields)}
    return {"sets": {"test": {**scores, "row_scores": values, "row_digest": "same"}}, "judge": "the judge"}


def pairs(won, lost, ties, contradicted=0):
    every = [Pair("first", True, (9, 3))] * won + [Pair("second", True, (3, 9))] * lost
    every += [Pair("tie", place >= contradicted, (4, 4)) for place in range(ties)]
    return {"sets": {"test": {"n": len(every), "lost": 0, **pair_figures(every)}}, "judge": "the judge"}


def cost(runtime="transformers 5", speed=50.0, weights=1_000_000, **more):
    figures = {"label": "x", "runtime": runtime, "weights_bytes": weights, "load_s": 1.5, "first_token_ms_p50": 7.0}
    figures |= {"first_token_ms_p95": 9.0, "per_token_ms_p50": 2.0, "per_token_ms_p95": 3.0, "failed": 0}
    return {**figures, "tokens_per_s_at_1": speed / 4, "tokens_per_s_at_64": speed, "peak_memory_bytes": 2e9, **more}


def answers(right, tokens_per_s=1.0):
    scores = {**kept(right), **share("exact_match", right)}
    return {"sets": {"test": scores}, "tokens_per_s": tokens_per_s, "engine": {"runtime": "vllm 1", "seconds": 9.0}}


def written(given, folder, lineage=()):
    names = [label if any(one.name == label for one in lineage) else f"step of {label}" for label in given]
    context = report_context(folder, names, lineage)
    out = Report(dict.fromkeys(given, LoadRows([{"a": 1}]))).run(given, context)
    page, short = (out / "index.html").read_text(), (out / "report.md").read_text()
    assert "Other figures" not in page
    return page, short, json.loads((out / "metrics.json").read_text())


GOOD, BAD = [True] * 90 + [False] * 10, [True] * 60 + [False] * 40


def test_choices_are_ruled_on_and_held_against_chance(tmp_path):
    guess = [True] * 26 + [False] * 74
    page, _, table = written({"teacher": choices(GOOD), "student": choices(BAD), "guess": choices(guess)}, tmp_path)
    [section] = table["sections"]
    assert (section["kind"], section["main"]) == ("Multiple choice", "accuracy")
    assert section["verdict"]["models"][0]["worse"]
    assert "not shown to be more than the 25.0\u202f% of picking at random" in section["unusable"]["guess"]
    assert "of equally likely ones none is chosen" in page


def test_agreement_has_no_verdict_and_names_its_teacher(tmp_path):
    page, short, table = written({"one": agreement(BAD), "other": agreement(GOOD, kl=0.1)}, tmp_path)
    [section] = table["sections"]
    assert section["verdict"] is None and section["chosen"] == "other"
    assert "The best of the models is other: 90.0" in page and "Agreement with the big one says how often" in page
    assert "Divergence, nats a token (lower is better)" in page and "by more than chance" in short


def test_grades_are_compared_on_their_scale_and_a_judge_that_guesses_is_named(tmp_path):
    right = [True, False] * 20
    first, second = [3.0, 3.0] * 20, [5.0, 4.0] * 20
    page, _, table = written({"a": grades(first, right=right), "b": grades(second)}, tmp_path)
    [section] = table["sections"]
    assert section["chosen"] == "b" and section["verdict"] is None
    assert "+1.5 grades" in page and "from 1.00 (worst) to 5.00 (best)" in page
    assert "a guess would in 50" in page and "No person graded any of the answers" in page
    same = written({"a": grades(first), "b": grades(first)}, tmp_path)[0]
    assert "0.0 grades" in same


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (pairs(40, 10, 10), "prefers small to big by more than chance"),
        (pairs(10, 40, 10), "prefers big to small by more than chance"),
        (pairs(21, 20, 10), "is not shown to prefer small or big"),
        (pairs(1, 0, 0), "so few pairs"),
        (pairs(10, 10, 40, contradicted=30), "contradicts itself on 50.0"),
    ],
)
def test_preferences_are_said_in_words(figures, said, tmp_path):
    inputs = {"first": ["small"], "second": ["big"]}
    lineage = (Ancestor("judged", "EvaluatePairs", "k" * 64, ("small", "big"), {"inputs": inputs}),)
    page, short, table = written({"judged": figures}, tmp_path, lineage)
    assert said in page and "Preferences of a judge" in short
    assert "judged: small against big" in page and table["models"][0]["figures"]["judge"] == "the judge"


def test_costs_stand_by_runtime_and_in_the_speeds_of_what_they_measured(tmp_path):
    costs = {"teacher": cost(weights=9_000_000), "student": cost(speed=400.0), "gguf": cost("llama.cpp 7", 90.0)}
    costs |= {"broken": {"weights_bytes": 5_000_000, "error": "no such operator <b>"}}
    given = {
        "teacher": answers(GOOD * 10),
        "student": answers(GOOD * 10),
        "cost": {"costs": costs, "protocol": {"repeats": 3}},
    }
    page, _, table = written(given, tmp_path)
    assert "Cost of serving, by transformers 5" in page and "Cost of serving, by llama.cpp 7" in page
    assert "broken can&#39;t be measured: no such operator &lt;b&gt;" in page
    assert "Tokens/s, 64 at once" in page and "Device memory" not in page
    assert "400 tokens a second by transformers 5 (MeasureCost)" in table["sections"][0]["verdict"]["text"]
    assert table["sections"][0]["verdict"]["smallest"] == "student" and "instead of 9.00\u202fMB, 9.00\u00d7" in page
    # one of the models alone would stand beside speeds of another protocol
    costs.pop("teacher")
    text = written(given, tmp_path)[2]["sections"][0]["verdict"]["text"]
    assert "MeasureCost" not in text


def harness(metric, values, **engine):
    samples = [
        {"filter": "none", "metrics": [metric], metric: value, "doc_id": place, "doc_hash": "h", "target_hash": "t"}
        for place, value in enumerate(values)
    ]
    results = {
        "samples": {"task": samples},
        "results": {"task": {f"{metric},none": sum(values) / len(values), "alias": "task"}},
    }
    figures = {"sets": Measured(results).sets(), "tasks": {"task": {"n_shot": 5, "version": 1.0}}}
    return {**figures, "engine": {"harness": "0.4.13", "label": "x", "chat_template": True, **engine}}


def test_tasks_of_the_harness_have_intervals_and_standard_errors(tmp_path):
    right = [1.0] * 60 + [0.0] * 40
    given = {
        "teacher": harness("exact_match", right),
        "student": harness("exact_match", right),
        "plain": harness("exact_match", right, chat_template=False),
        "reader": harness("bleu", [10.0, 20.0, 30.0]),
    }
    page, _, table = written(given, tmp_path)
    chats, plain = table["sections"]
    assert chats["kind"].startswith("LM evaluation harness, with the chat template")
    assert [one["model"] for one in chats["differences"]] == ["student"] and not plain["differences"]
    assert "60.0\u202f% ± 4.9 (50.2 to 69.1)" in page.replace("50.2\u202f", "50.2")
    assert "Without the chat template: plain." in page
    assert "bleu" in page and "20.0" in page


def test_models_that_differ_by_their_seeds_alone_are_named_as_such(tmp_path):
    def step(name, kind, inputs=(), **params):
        manifest = {"params": params, "inputs": {"model": list(inputs)}}
        return Ancestor(name, kind, "k" * 64, tuple(inputs), manifest)

    lineage = [step("data", "LoadRows")]
    given = {"teacher": answers(GOOD)}
    for seed in (0, 1):
        lineage.append(step(f"train {seed}", "HardLabel", ("data",), seed=seed, rate=1e-3))
        lineage.append(step(f"student {seed}", "Evaluate", (f"train {seed}",)))
        given[f"student {seed}"] = answers([True] * (80 + 2 * seed) + [False] * (20 - 2 * seed))
    lineage += [step("train x", "HardLabel", ("data",), seed=0, rate=2e-3), step("other", "Evaluate", ("train x",))]
    page, _, _ = written({**given, "other": answers(BAD)}, tmp_path, tuple(lineage))
    assert "student 0 and student 1 were made alike but for their seeds: over 2 seeds, exact match on test" in page
    assert "a mean of 81.0\u202f% and a standard deviation of 1.41 points" in page
    assert page.count("made alike") == 1
