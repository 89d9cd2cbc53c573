"""Cards of models: the relation to the base, results as model-index, licences, and nothing of this machine."""

from __future__ import annotations

import json

import pytest
import yaml

from potstill import steps
from potstill.engine.context import Ancestor
from potstill.models.licences import Licence, Source, named
from potstill.publishing.cards import METRICS, model_card, relation_of


def model(folder, config=None, **files):
    (folder / "config.json").write_text(json.dumps(config or {}))
    (folder / "model.safetensors").write_bytes(b"")
    front = '---\nlibrary_name: "transformers"\npipeline_tag: "text-classification"\n---\n'
    card = f"{front}\n# A student\n\nLicence: x\n\nFOLDER\n"
    (folder / "README.md").write_text(card)
    for name, text in files.items():
        (folder / name.replace("_json", ".json")).write_text(text)
    return Ancestor("student", "Classifier", "k" * 64, (), {"outputs": []}, folder)


def front_of(card):
    return yaml.safe_load(card.split("---\n")[1])


@pytest.mark.parametrize(
    ("config", "files", "relation"),
    [
        ({}, {}, "finetune"),
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, {}, "quantized"),
        ({}, {"adapter_config_json": "{}"}, "adapter"),
    ],
)
def test_the_relation_to_the_base_is_read_from_the_folder(tmp_path, config, files, relation):
    assert relation_of(model(tmp_path, config, **files).folder) == relation


def test_an_export_is_a_quantized_form(tmp_path):
    model(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.onnx").write_bytes(b"")
    assert relation_of(tmp_path) == "quantized"


def test_a_card_holds_base_teacher_data_results_and_licence(tmp_path):
    apache = Licence("apache-2.0")
    sources = [
        Source("base", "small/Base", "student", apache, is_on_hub=True),
        Source("teacher", "big/Teacher", "labels", apache, is_on_hub=True),
        Source("data", "folder/seeds.jsonl", "seeds", apache),
    ]
    step = Ancestor("figures", "EvaluateClassifier", "e" * 64, (), {})
    metrics = {"sets": {"hand <b>": {"n": 9, "accuracy": 0.875, "macro_f1": 0.8}}}
    card = model_card([model(tmp_path)], "me/Student", apache, sources, [(step, metrics)])
    front = front_of(card)
    assert front["base_model"] == ["small/Base"]
    assert front["base_model_relation"] == "finetune"
    assert front["distilled_from"] == ["big/Teacher"]  # no base: the Hub would take it for one
    assert "datasets" not in front  # a file of this machine is no data set of the Hub
    assert front["pipeline_tag"] == "text-classification"
    [index] = front["model-index"]
    metrics = {one["type"]: one["value"] for result in index["results"] for one in result["metrics"]}
    assert metrics == {"accuracy": 0.875, "macro_f1": 0.8}
    assert r"| hand \<b\> | accuracy | 0.875 |" in card
    assert "me/Student" in card
    assert "FOLDER" not in card
    assert "Licence: apache-2.0." in card


def test_an_unknown_licence_is_called_unknown_and_one_of_its_own_is_named(tmp_path):
    sources = [Source("base", "base", "student", Licence(""))]
    assert front_of(model_card([model(tmp_path)], "me/S", Licence(""), sources, []))["license"] == "unknown"
    own = Licence("other", "mine-1.0", "LICENSE")
    front = front_of(model_card([model(tmp_path)], "me/S", own, sources, []))
    assert (front["license"], front["license_name"], front["license_link"]) == ("other", "mine-1.0", "LICENSE")
    assert "base_model_relation" not in front  # of no base that the Hub knows


def test_a_licence_s_own_name_is_only_a_name_and_a_figure_that_is_none_is_left_out(tmp_path):
    odd = Licence("other", r"\1 \q <script>", "LICENSE")
    step = Ancestor("figures", "Perplexity", "e" * 64, (), {})
    card = model_card([model(tmp_path)], "me/S", odd, [], [(step, {"sets": {"test": {"perplexity": float("inf")}}})])
    assert r"Licence: \\1 \\q \<script\>." in card
    assert "model-index" not in front_of(card)


def test_an_address_is_named_without_what_opens_it():
    assert named("s3://key:secret@bucket/rows.jsonl?signed=abc#x") == "s3://bucket/rows.jsonl"
    assert named("https://me:secret@host:8000/v1 owner/model") == "https://host:8000/v1 owner/model"
    assert named("https://host/a@b.jsonl") == "https://host/a@b.jsonl"


@pytest.mark.parametrize(
    ("kind", "scores", "listed"),
    [
        ("EvaluateChoices", {"accuracy": 0.5, "chance": 0.25}, {"accuracy": 0.5}),
        ("EvaluateAgreement", {"agreement": 0.9, "top1": 0.8, "kl": None}, {"agreement": 0.9, "top1": 0.8}),
        ("EvaluateGrades", {"grade": 3.5, "grade_low": 3.0}, {"grade": 3.5}),
        ("EvaluatePairs", {"win_rate": 0.6, "ties": 0.1}, {"win_rate": 0.6}),
        ("EvaluatePerplexity", {"perplexity": 9.0, "tokens": 12}, {"perplexity": 9.0}),
        ("LMEval", {"n": 9, "acc": 0.4, "acc_low": 0.2, "acc_high": 0.6, "bleu": 1.5}, {"acc": 0.4, "bleu": 1.5}),
        ("Evaluate", {"exact_match": 0.5, "measures": {"rouge": {"value": 0.3}}}, {"exact_match": 0.5, "rouge": 0.3}),
        ("EvaluateClassifier", {"accuracy": float("nan")}, {}),
    ],
)
def test_figures_of_every_evaluation_are_results_in_the_hubs_form(tmp_path, kind, scores, listed):
    step = Ancestor("figures", kind, "e" * 64, (), {})
    front = front_of(model_card([model(tmp_path)], "me/S", Licence("mit"), [], [(step, {"sets": {"hard": scores}})]))
    results = [one for index in front.get("model-index", []) for one in index["results"]]
    assert {one["type"]: one["value"] for result in results for one in result["metrics"]} == listed
    name = "hard (lm-evaluation-harness)" if kind == "LMEval" else "hard (own test set)"
    assert {result["dataset"]["name"] for result in results} <= {name}


def test_every_step_that_measures_models_or_their_answers_has_its_figures_in_a_card():
    measuring = {name for name in steps.__all__ if getattr(getattr(steps, name), "makes", "") == "metrics"}
    # what a model costs, what texts are like, and labels that rows hold are no result of it
    assert measuring - {"MeasureCost", "LeakCheck", "Diversity", "EvaluateLabels"} == set(METRICS)
