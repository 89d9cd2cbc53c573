"""Figures of one name that were measured in two ways stand in two sections, and are never compared."""

from __future__ import annotations

import json

import pytest

from evaluating import report_context
from potstill.reporting import kinds
from potstill.reporting.model_table import Evaluation, sections_of
from potstill.reporting.ways import SETTINGS, way_of
from potstill.steps import LoadRows, Report


def nested(path, value):
    """Return metrics that hold `value` at a path of keys."""
    for key in reversed(path):
        value = {key: value}
    return {"sets": {}, **value}


def sections(kind, *metrics):
    every = [Evaluation(f"model {place}", f"step {place}", one, kind) for place, one in enumerate(metrics)]
    return sections_of(every, "")


EVERY = [(kind, setting) for kind, settings in SETTINGS.items() for setting in settings]


@pytest.mark.parametrize("kind, setting", EVERY, ids=[f"{kind.title}-{one.path[-1]}" for kind, one in EVERY])
def test_each_setting_parts_the_models(kind, setting):
    """Three models, of which the first and the last were measured alike."""
    one, other = (True, False) if setting.off else ("this", "that")
    parts = sections(kind, *(nested(setting.path, value) for value in (one, other, one)))
    assert [[model.label for model in part.models] for part in parts] == [["model 0", "model 2"], ["model 1"]]
    assert len({part.title for part in parts}) == 2 and all(part.title.startswith(kind.title) for part in parts)


@pytest.mark.parametrize("kind", kinds.KINDS, ids=lambda kind: kind.title)
def test_what_figures_do_not_depend_on_parts_nothing(kind):
    parts = sections(kind, *({"sets": {}, "engine": {"seconds": value, "threads": value}} for value in (1, 2)))
    assert [part.title for part in parts] == [kind.title]


def test_examples_in_a_prompt_part_tasks_of_the_harness():
    few, none = ({"tasks": {"arc": {"n_shot": count}}} for count in (5, 0))
    assert way_of(kinds.HARNESS, few) != way_of(kinds.HARNESS, none)


def reading(documents, perplexity):
    ends = {"perplexity_low": perplexity * 0.9, "perplexity_high": perplexity * 1.1}
    scores = {"perplexity": perplexity, **ends, "bits_per_byte": perplexity / 100, "tokens": 900, "bytes": 4000}
    return {"sets": {"test": scores}, "engine": {"window": 512, **({"documents": True} if documents else {})}}


def test_a_report_of_two_ways_tests_nothing_between_them(tmp_path):
    given = {"joined": reading(False, 80.0), "apart": reading(True, 20.0)}
    names = [f"step of {name}" for name in given]
    out = Report(dict.fromkeys(given, LoadRows([{"a": 1}]))).run(given, report_context(tmp_path, names))
    text = (out / "report.md").read_text()
    assert "Perplexity of texts, texts joined" in text and "Perplexity of texts, document by document" in text
    assert "more than chance" not in text and "alike" not in text
    models = json.loads((out / "metrics.json").read_text())["models"]
    assert {model["model"] for model in models} == set(given)
