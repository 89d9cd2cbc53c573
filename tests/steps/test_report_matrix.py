"""A report takes whatever any evaluating step makes, alone and in pairs, and figures of all odd shapes."""

from __future__ import annotations

import importlib.util
import inspect
import itertools
import json
import random
import re

import pytest
from datasets import Dataset

import learning
import running
import tiny
import tiny_encoders
import translating
from evaluating import report_context
from fakes import EchoTeacher
from potstill import Step, Transformers, steps
from potstill.steps import (
    Diversity,
    Evaluate,
    EvaluateAgreement,
    EvaluateChoices,
    EvaluateClassifier,
    EvaluateGrades,
    EvaluateLabels,
    EvaluatePairs,
    EvaluatePerplexity,
    EvaluateTokenClassifier,
    EvaluateTranslation,
    LeakCheck,
    LMEval,
    LoadRows,
    Report,
    SizeTable,
)
from potstill.steps.evaluation.cost import summary
from potstill.steps.evaluation.cost_process import Protocol, measure
from potstill.teachers.protocol import Request, Sampling
from scripted import Scripted

TEXTS = ["turn on the light", "set the heating", "open the blinds halfway", "start the vacuum in the kitchen"]
ROWS = {
    Evaluate: [{"instruction": text, "output": "on"} for text in TEXTS],
    EvaluateClassifier: [{"text": text, "label": tiny_encoders.NAMES[number % 3]} for number, text in enumerate(TEXTS)],
    EvaluateTokenClassifier: [{"tokens": text.split(), "labels": ["light"] * len(text.split())} for text in TEXTS],
    EvaluateTranslation: translating.rows(2),
    EvaluatePerplexity: [{"text": text} for text in TEXTS * 8],
    Diversity: [{"instruction": text} for text in TEXTS],
}
FIELDS = {
    Evaluate: {"max_tokens": 4, "latency_requests": 1, "warmup": 0},
    EvaluateTranslation: {"max_tokens": 4},
    EvaluatePerplexity: {"window": 16},
}
COSTS = Protocol(1, 0, 1, (1,), 1)
"""Of MeasureCost: what a fresh process does, in this one."""
TASK = {
    "task": "which",
    "output_type": "multiple_choice",
    "doc_to_text": "{{instruction}}",
    "doc_to_choice": ["on", "off"],
    "doc_to_target": "output",
    "metric_list": [{"metric": "acc"}],
}
ASKED = (
    "EvaluateChoices",
    "EvaluateAgreement",
    "EvaluateGrades",
    "EvaluatePairs",
    "EvaluateLabels",
    "LMEval",
    "MeasureCost",
)
OTHERS = ("SizeTable", "LeakCheck", "own")
KINDS = [*(kind.__name__ for kind in ROWS), *ASKED, *OTHERS]


def tagger(folder):
    """Save a token classifier with random weights."""
    from transformers import AutoModelForTokenClassification

    tiny.encoder(folder)
    names = dict(enumerate(tiny_encoders.NAMES))
    model = AutoModelForTokenClassification.from_pretrained(
        folder, id2label=names, label2id={name: number for number, name in names.items()}
    )
    model.save_pretrained(folder)
    return folder


def asked(causal, folder):
    """Return what steps make that ask a model or a judge, by name."""
    model = Transformers(str(causal))
    rows = [{"id": text, "instruction": text, "choices": ["on", "off"], "output": "on"} for text in TEXTS]
    data, source = Dataset.from_list(rows), LoadRows(rows)
    labels = [{"id": text, "text": text, "label": "on", "gold": "on"} for text in TEXTS]
    judge = Scripted(say=lambda request: "A" if "[Start of answer A]" in request.messages[-1]["content"] else "4")

    def context(name):
        return learning.context(folder / name)

    cost = measure(EchoTeacher(), [Request([{"role": "user", "content": "on?"}], Sampling(max_tokens=4))], COSTS)
    results = {
        "EvaluateChoices": EvaluateChoices(model, source).run(model, data, context("choices")),
        "EvaluateAgreement": EvaluateAgreement(model, source, teacher=model, max_tokens=4, top_k=4).run(
            model, data, model, context("agreement")
        ),
        "EvaluateGrades": EvaluateGrades(source, teacher=judge, criterion="right").run(data, judge, context("grades")),
        "EvaluatePairs": EvaluatePairs(source, source, teacher=judge).run(data, data, judge, context("pairs")),
        "EvaluateLabels": EvaluateLabels(LoadRows(labels)).run(Dataset.from_list(labels), context("labels")),
        "MeasureCost": {"costs": {"student": {"label": "student", **summary([cost])}}, "protocol": {"threads": 1}},
    }
    if importlib.util.find_spec("lm_eval") is not None:
        results["LMEval"] = LMEval(model, (TASK,), rows={"which": source}).run(
            model, context("harness"), {"which": data}
        )
    return results


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What each evaluating step makes of a tiny real model, as it is in the store."""
    causal = tiny.causal_lm(tmp_path_factory.mktemp("causal"))
    models = {
        Evaluate: Transformers(str(causal)),
        EvaluatePerplexity: str(causal),
        EvaluateClassifier: str(tiny_encoders.classifier(tmp_path_factory.mktemp("classifier"))),
        EvaluateTokenClassifier: str(tagger(tmp_path_factory.mktemp("tagger"))),
        EvaluateTranslation: str(translating.model(tmp_path_factory.mktemp("translator"))),
    }
    actual = {}
    for kind, given in ROWS.items():
        context = learning.context(tmp_path_factory.mktemp(kind.__name__))
        rows = Dataset.from_list(given)
        model = models.get(kind)
        step = kind(LoadRows(given)) if model is None else kind(model, LoadRows(given), **FIELDS.get(kind, {}))
        result = step.run(rows, None, None, None, context) if model is None else step.run(model, rows, context)
        actual[kind.__name__] = json.loads(json.dumps(result))
    folders = [str(causal), models[EvaluateClassifier]]
    table = SizeTable(folders, stages=("before", "after")).run(folders, learning.context(tmp_path_factory.mktemp("t")))
    both = [Dataset.from_list(ROWS[Diversity]), Dataset.from_list(ROWS[Diversity][:2])]
    leaks = LeakCheck(LoadRows(ROWS[Diversity]), LoadRows(ROWS[Diversity])).run(
        *both, None, learning.context(tmp_path_factory.mktemp("l"))
    )
    own = {"score": 0.93, "by": {"hard": {"n": 3}, "odd": [1, "<b>", None]}, "note": "x" * 500, "": {}}
    actual |= json.loads(json.dumps(asked(causal, tmp_path_factory.mktemp("asked"))))
    return {**actual, "SizeTable": Dataset.from_list(table), "LeakCheck": leaks, "own": own}


def report(given, folder, **fields):
    """Write the report of what steps returned; return its three files."""
    context = report_context(folder, [f"step {number}" for number in range(len(given))])
    step = Report(dict.fromkeys(given, LoadRows([{"a": 1}])), **fields)
    out = step.run(given, context)
    page = (out / "index.html").read_text(encoding="utf-8")
    return page, json.loads((out / "metrics.json").read_text()), (out / "metrics.csv").read_text()


def test_every_step_that_makes_metrics_is_in_the_matrix():
    public = [value for name in steps.__all__ if inspect.isclass(value := getattr(steps, name))]
    measuring = {kind.__name__ for kind in public if issubclass(kind, Step) and kind.makes == "metrics"}
    assert measuring <= set(KINDS)


@pytest.mark.parametrize("names", [*itertools.combinations(KINDS, 1), *itertools.combinations(KINDS, 2)], ids="+".join)
def test_any_evaluating_steps_make_a_page(names, made, tmp_path):
    if not set(names) <= made.keys():
        pytest.skip("lm-evaluation-harness is not installed (pip install 'potstill[lmeval]')")
    page, table, rows = report({f"of {name}": made[name] for name in names}, tmp_path)
    assert {model["model"] for model in table["models"]} == {f"of {name}" for name in names}
    assert all(f"of {name}" in page for name in names)
    assert page.count("<section class=") >= len(names) - 1
    assert ("model" in rows) and "NaN" not in json.dumps(table)


def test_two_models_of_one_kind_stand_in_one_section_and_are_tested(made, tmp_path):
    for name in KINDS[:5]:
        _, table, _ = report({"a": made[name], "b": made[name]}, tmp_path / name)
        [section] = table["sections"]
        assert [test["p"] for test in section["tests"] if test["first"] == "b"] == [1.0], name


def test_all_kinds_in_one_report_keep_their_own_main_figures(made, tmp_path):
    page, table, _ = report(made, tmp_path, title="all")
    mains = {section["kind"]: section["main"] for section in table["sections"]}
    assert mains == {
        "Answers": "exact_match",
        "Classes of texts": "accuracy",
        "Spans in texts": "f1",
        "Translations": "bleu",
        "Perplexity of texts": "perplexity",
        "Multiple choice": "accuracy",
        "Agreement with the teacher": "agreement",
        "Grades by a judge": "grade",
        **({"LM evaluation harness": "acc"} if "LMEval" in made else {}),
    }
    assert "Perplexity (lower is better)" in page
    assert "&lt;b&gt;" in page and "<b>&" not in page


def test_steps_that_measure_and_tables_of_sizes_pass_the_check_in_any_mix():
    class Mine(Step):
        rows: object = 1

        def run(self):
            return {"score": 0.5}

    rows = {kind: LoadRows(given) for kind, given in ROWS.items()}
    teacher = Transformers("model")
    given = [kind(rows[kind]) if kind is Diversity else kind(teacher, rows[kind]) for kind in ROWS]
    given += [SizeTable(["a", "b"]), Mine(), {"published": 0.9}]
    problems = [problem for problem in running.problems_of(Report(given)) if "evaluations" in problem]
    assert problems == []


ODD = [None, True, 0, -1, 10**30, 1e308, float("nan"), float("inf"), "", "<i>", "\ud800", [], {}, [[]], [{"a": 1}]]


def odd(draw, depth=0):
    """Return a dict of odd values under names that the report looks for."""
    names = """
        sets test n exact_match accuracy f1 spans bleu perplexity tokens bytes row_right row_digest row_scores majority
        majority_p weights_bytes parameters engine nonzero_parameters examples mixed_up errors bits_per_byte classes own
        leaks any rows share
    """.split()
    return {
        name: odd(draw, depth + 1) if depth < 3 and draw.random() < 0.3 else draw.choice(ODD)
        for name in draw.sample(names, draw.randrange(len(names)))
    }


@pytest.mark.parametrize("seed", range(8))
def test_figures_of_any_shape_make_a_page(seed, made, tmp_path):
    draw = random.Random(seed)
    for number in range(6):
        given = {"odd": odd(draw), "other": odd(draw)}
        # a good result in which some figures have become odd
        name = draw.choice(KINDS[:5])
        changed = json.loads(json.dumps(made[name]))
        for place in [changed, *changed["sets"].values()]:
            for key in draw.sample(sorted(place), 4):
                place[key] = draw.choice(ODD) if key != "sets" else place[key]
        page, table, _ = report({**given, "good": made[name], "changed": changed}, tmp_path / str(number))
        assert re.search(r"</html>\s*$", page) and len(table["models"]) == 4
        assert "<i>" not in re.sub(r"<i> \(cut off\)</i>", "", page)
