"""ExportEncoder: a folder that a runtime serves by its own script, and what can't be exported."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys

import pytest
from datasets import Dataset

import compressing
import tiny
import tiny_encoders
from potstill import Pipeline
from potstill.errors import BadInput, MissingExtra, PotstillError, RequestError
from potstill.exporting.encoders.fresh_process import fresh_answers
from potstill.exporting.exporter import Serving
from potstill.exporting.folder import command_of, write_serving
from potstill.exporting.verdict import NotDeployableError
from potstill.steps.exporting.encoder import ExportEncoder, load
from potstill.steps.quantization.encoder import QuantizeEncoder

TEXTS = Dataset.from_list([{"words": text} for text in tiny.CORPUS])


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return tiny_encoders.classifier(tmp_path_factory.mktemp("classifier") / "model")


def run(model, tmp_path, probe=None, **fields):
    """Run the step; return its folder and notes."""
    context = compressing.context(tmp_path, "export")
    step = ExportEncoder(str(model), probe=probe, **fields)
    return step.run(model=str(model), probe=probe, context=context), context.notes


def changed(folder, out, **entries):
    """Copy a model, and let its config say something else."""
    shutil.copytree(folder, out)
    config = json.loads((out / "config.json").read_text()) | entries
    (out / "config.json").write_text(json.dumps(config))
    return out


def said_by_its_script(out):
    """Run what SERVE.md says, as its reader does."""
    ended = subprocess.run(
        [sys.executable, "-c", command_of(out)], cwd=out, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_classifier_is_served_by_onnxruntime_with_all_that_it_needs(classifier, tmp_path):
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    out, notes = run(classifier, tmp_path, TEXTS, text="words")
    assert notes["deployable"] is True
    assert notes["export"]["probe texts"] == len(TEXTS) + 4
    assert 0 < notes["export"]["change, as a share"] < 0.2
    assert (out / "tokenizer.json").read_bytes() == (classifier / "tokenizer.json").read_bytes()
    assert list(json.loads((out / "config.json").read_text())["id2label"].values()) == list(tiny_encoders.NAMES)
    card = (out / "README.md").read_text()
    assert "text-classification" in card and "yes, checked with the serving runtime" in card and "SERVE.md" in card
    assert "| weights | int8 a scale for each output, head f32 |" in card
    assert "Checked in a fresh process by onnxruntime " in (out / "SERVE.md").read_text()
    check = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=out, check=False, capture_output=True)
    assert check.returncode == 0
    assert any(name in said_by_its_script(out) for name in tiny_encoders.NAMES)


def test_a_sentence_encoder_is_served_by_openvino(tmp_path):
    pytest.importorskip("nncf", reason="the package nncf is not installed")
    out, notes = run(tiny_encoders.sentence_encoder(tmp_path / "model"), tmp_path, format="openvino")
    assert 0.98 < notes["export"]["mean cosine"] < 1
    assert "sentence-similarity" in (out / "README.md").read_text()
    assert not (out / "modules.json").exists()  # it would promise a folder of sentence-transformers
    assert said_by_its_script(out).startswith("cosine ")


def test_what_answers_otherwise_is_no_export(classifier, tmp_path):
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    with pytest.raises(NotDeployableError, match=r"answers of onnxruntime .* move by .*which is more than 0\.00%"):
        run(classifier, tmp_path, precision="int4", tolerance=1e-6)


def test_a_script_that_fails_or_takes_too_long_says_so(tmp_path):
    write_serving(tmp_path, Serving("pip install it", "It.", "import no_such_runtime", language="python"), "")
    with pytest.raises(PotstillError, match=r"numpy can't load or run what was exported (?s:.*)no_such_runtime"):
        fresh_answers("numpy", tmp_path, ["a"], 60)
    with pytest.raises(PotstillError, match=r"did not answer within 0 s.*raise time_limit"):
        fresh_answers("numpy", tmp_path, ["a"], 0.01)


def test_a_language_model_is_sent_to_export(tmp_path):
    with pytest.raises(BadInput, match=r"is a Qwen3ForCausalLM: ExportEncoder writes .* language models take Export"):
        load(str(tiny.causal_lm(tmp_path / "model")))


def test_what_has_neither_classes_nor_vectors_is_refused(classifier, tmp_path):
    other = changed(classifier, tmp_path / "other", architectures=["BertForMaskedLM"])
    with pytest.raises(BadInput, match=r"is a BertForMaskedLM.*train a Classifier or SentenceEncoder from it"):
        load(str(other))


def test_what_is_quantized_names_the_model_to_export(tmp_path):
    folder = tiny_encoders.classifier(tmp_path / "mood")
    small, _ = compressing.run_step(
        QuantizeEncoder, folder, tmp_path, calibration=compressing.texts(), text="text", max_length=32, method="rtn"
    )
    with pytest.raises(BadInput, match=r"quantized already \(gemma\).*export the model that it was made from, mood$"):
        load(str(small))


def test_a_model_without_a_tokenizer_is_refused(classifier, tmp_path):
    shutil.copytree(classifier, tmp_path / "bare", ignore=shutil.ignore_patterns("tokenizer*", "special*"))
    with pytest.raises(BadInput, match=r"has no tokenizer for texts: save one there \(tokenizer\.json\)"):
        load(str(tmp_path / "bare"))


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"problem_type": "multi_label_classification"}, "gives 3 labels as multi_label_classification, not one of"),
        (
            {"model_type": "layoutlm", "architectures": ["LayoutLMForSequenceClassification"]},
            "of type 'layoutlm', which ExportEncoder does not write; supported are albert, bert",
        ),
    ],
)
def test_a_model_of_another_kind_is_refused(entries, said, classifier, tmp_path):
    with pytest.raises(BadInput, match=said):
        load(str(changed(classifier, tmp_path / "other", **entries)))


@pytest.mark.parametrize(("format", "package"), [("onnx", "onnxruntime"), ("openvino", "nncf")])
def test_a_format_whose_runtime_is_missing_names_the_pip_line(classifier, monkeypatch, format, package):
    actual = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == package else actual(name, *rest)
    )
    with pytest.raises(MissingExtra) as caught:
        ExportEncoder(str(classifier), format=format)._exporter().check(load(str(classifier)))
    assert f'pip install "potstill[{format}]"' in str(caught.value)


def test_activations_are_chosen_only_where_they_can_be():
    assert list(ExportEncoder("model", activations="group").check()) == []
    [problem] = ExportEncoder("model", precision="int4", activations="group").check()
    assert "only onnx at int8 lets choose; onnx at int4 has its own" in problem.message


def test_embeddings_are_chosen_only_where_they_can_be():
    assert list(ExportEncoder("model", precision="int4", embeddings="int4").check()) == []
    for fields in ({"precision": "int8"}, {"precision": "int4", "format": "openvino"}):
        [problem] = ExportEncoder("model", embeddings="int4", **fields).check()
        assert "only onnx at int4 lets choose: leave it out" in problem.message


def test_a_precision_that_no_format_has_is_told_before_anything_runs():
    with pytest.raises(RequestError, match=r"precision: must be Literal\['f32', 'int8', 'int4'\], got 'q8_0'"):
        Pipeline("x", outputs={"m": ExportEncoder("model", precision="q8_0")}).check()
