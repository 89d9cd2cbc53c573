"""What Export and ExportEncoder wrote is measured by its runtime, or refused before anything runs; never half."""

from __future__ import annotations

import importlib.util
import logging

import pytest
from datasets import Dataset

import exported
import running
import tiny_encoders
from fakes import context_in
from potstill.engine.context import Context
from potstill.engine.ledger import Ledger
from potstill.errors import BadInput
from potstill.models.footprint import footprint
from potstill.models.identity import folder_of
from potstill.steps import (
    Evaluate,
    EvaluateClassifier,
    EvaluatePerplexity,
    EvaluateTokenClassifier,
    EvaluateTranslation,
    Export,
    ExportEncoder,
    LoadRows,
    SizeTable,
)

PACKAGES = {"onnx": "onnxruntime_genai", "openvino": "openvino_tokenizers", "gguf": "gguf"}
HAS_LLAMA = importlib.util.find_spec("llama_cpp") is not None
TEXTS = [{"text": f"turn on the light in room {number} please"} for number in range(12)]
LABELLED = [
    {"text": text, "label": label}
    for text, label in [
        ("turn on the light", "light"),
        ("set the heating to 21 degrees", "heating"),
        ("open the blinds halfway", "blinds"),
        ("the kitchen please", "light"),
    ]
]
WORDS = [{"tokens": ["a"], "labels": ["O"]}]
ASKED = [{"instruction": "turn on the light", "output": "on"}, {"instruction": "open it", "output": "open"}]


@pytest.fixture(scope="module")
def causal(tmp_path_factory):
    return exported.causal(tmp_path_factory.mktemp("causal"), "llama")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    return tiny_encoders.classifier(tmp_path_factory.mktemp("classifier"))


@pytest.fixture(scope="module")
def written(tmp_path_factory, causal, classifier):
    """Writes a format in float32, as Export and ExportEncoder do, without their checks; each once."""
    result = {}

    def write(fmt, encoder=False):
        need("onnxruntime" if encoder and fmt == "onnx" else PACKAGES[fmt])
        if (fmt, encoder) not in result:
            out = tmp_path_factory.mktemp(f"{fmt}-{encoder}")
            step, module = (ExportEncoder, "encoder") if encoder else (Export, "language_model")
            result[fmt, encoder] = out
            home = importlib.import_module(f"potstill.steps.exporting.{module}")
            source = home.load(str(classifier)) if encoder else home.load(str(causal), quantized=False)
            home._carry(source, out)
            given = () if encoder else (source,)
            step("model", format=fmt, precision="f32")._exporter(*given).write(source, out)
        return result[fmt, encoder]

    return write


def measured(step, folder, rows, out):
    return step.run(str(folder), Dataset.from_list(rows), context_in(out))


def rows(given):
    return LoadRows(given)


def need(package):
    pytest.importorskip(package, reason=f"the package {package} is not installed")


@pytest.mark.parametrize("fmt", ["onnx", "openvino"])
def test_an_exported_classifier_names_the_classes_that_the_model_does(fmt, classifier, written, tmp_path):
    step = EvaluateClassifier("model", None)
    given = measured(step, classifier, LABELLED, tmp_path)
    own = measured(step, written(fmt, encoder=True), LABELLED, tmp_path)
    assert own["classes"] == len(tiny_encoders.NAMES)
    for name, figure in given["sets"]["test"].items():
        # the runtime rounds logits in another way
        close = pytest.approx(figure, abs=1e-3) if name.startswith(("brier", "calibration")) else figure
        assert own["sets"]["test"][name] == close, name
    assert own["weights_bytes"] == footprint(written(fmt, encoder=True)).weights_bytes > 1000
    assert own["rows_per_s"] > 0 and own["parameters"] is None
    assert own["engine"]["runtime"].startswith({"onnx": "onnxruntime ", "openvino": "openvino "}[fmt])


@pytest.mark.parametrize("fmt", PACKAGES)
def test_an_exported_language_model_has_the_perplexity_of_the_model(fmt, causal, written, tmp_path):
    step = EvaluatePerplexity("model", None, window=32)
    given = measured(step, causal, TEXTS, tmp_path)["sets"]["test"]
    result = measured(step, written(fmt), TEXTS, tmp_path)
    own = result["sets"]["test"]
    assert own["tokens"] == given["tokens"] and own["row_digest"] == given["row_digest"]
    assert own["perplexity"] == pytest.approx(given["perplexity"], rel=0.02)
    assert result["weights_bytes"] > 1000 and result["engine"]["runtime"]
    # transformers, which dequantizes a GGUF, says nothing of the speed of llama.cpp
    assert (result["tokens_per_s"] is not None) == (fmt != "gguf" or HAS_LLAMA)


@pytest.mark.parametrize("fmt", PACKAGES)
def test_an_exported_language_model_answers_as_the_model_does(fmt, causal, written, tmp_path):
    from potstill import Transformers

    step = Evaluate("model", None, max_tokens=6, latency_requests=1, warmup=0)
    teacher = Transformers(str(causal), dtype="float32")
    given = step.run(teacher, Dataset.from_list(ASKED), context_in(tmp_path))
    result = measured(step, written(fmt), ASKED, tmp_path)
    answers = [[example["answer"] for example in one["examples"]] for one in (given, result)]
    assert answers[0] == answers[1] and len(answers[0]) == 2
    assert (result["tokens_per_s"] is not None) == (fmt != "gguf" or HAS_LLAMA)


def test_a_prompt_that_the_export_can_not_read_is_an_error_of_its_row(written, tmp_path):
    long = [*ASKED, {"instruction": "open it " * 300, "output": "x"}]
    result = measured(
        Evaluate("model", None, max_tokens=2, latency_requests=1, warmup=0), written("gguf"), long, tmp_path
    )
    assert result["sets"]["test"]["errors"] == 1


def test_a_table_of_sizes_holds_all_that_can_be_deployed(causal, written, tmp_path):
    folders = [str(causal), str(written("gguf"))]
    context = Context("sizes", "key", tmp_path, tmp_path, None, None, Ledger(), logging.getLogger())
    rows = SizeTable(folders, stages=("given", "gguf")).run(folders, context)
    assert rows[1]["bytes"] > 1000 and rows[1]["parameters"] is None and rows[1]["bits"] is None
    assert rows[1]["times"] == pytest.approx(rows[0]["bytes"] / rows[1]["bytes"])


WRONG = {
    "EvaluateClassifier": lambda lm, _: EvaluateClassifier(lm, rows(LABELLED)),
    "EvaluateTranslation": lambda lm, _: EvaluateTranslation(lm, rows(ASKED)),
    "EvaluatePerplexity": lambda _, encoder: EvaluatePerplexity(encoder, rows(TEXTS)),
    "Evaluate": lambda _, encoder: Evaluate(encoder, rows(ASKED)),
    "EvaluateTokenClassifier": lambda _, encoder: EvaluateTokenClassifier(encoder, rows(WORDS)),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_export_that_a_step_can_not_measure_is_refused_before_anything_runs(name, causal, classifier):
    language_model, encoder = Export(str(causal), format="gguf"), ExportEncoder(str(classifier))
    [problem] = running.problems_of(WRONG[name](language_model, encoder))
    assert "model: is an export" in problem and f"which {name} does not read" in problem


def test_a_runtime_that_is_missing_is_named_before_anything_runs(causal, classifier, monkeypatch):
    real = importlib.util.find_spec
    gone = {"onnxruntime", "onnxruntime_genai", "openvino", "gguf", "llama_cpp"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in gone else real(name, *rest))
    for step in (
        EvaluatePerplexity(Export(str(causal), format="gguf"), rows(TEXTS)),
        EvaluatePerplexity(Export(str(causal), format="onnx"), rows(TEXTS)),
        EvaluatePerplexity(Export(str(causal), format="openvino"), rows(TEXTS)),
        EvaluateClassifier(ExportEncoder(str(classifier)), rows(LABELLED)),
    ):
        problems = [str(problem) for problem in step.check()]
        assert len(problems) == 1 and "which is not installed: pip install" in problems[0]


def test_a_folder_that_holds_an_export_is_no_model_for_other_steps(written):
    folder = written("gguf")
    assert running.problems_of(EvaluatePerplexity(str(folder), rows(TEXTS), window=32)) == []
    with pytest.raises(BadInput, match=r"was exported \(model.gguf\); give the model that it was made from"):
        folder_of(str(folder))


def test_an_export_of_a_sentence_encoder_has_no_classes(written, tmp_path):
    import json

    folder = written("onnx", encoder=True)
    config = json.loads((folder / "config.json").read_text())
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in folder.iterdir():
        (bare / path.name).write_bytes(path.read_bytes())
    (bare / "config.json").write_text(json.dumps(config | {"architectures": ["BertModel"]}))
    with pytest.raises(BadInput, match="is an export of a BertModel, which has no classes"):
        measured(EvaluateClassifier("model", None), bare, LABELLED, tmp_path)
