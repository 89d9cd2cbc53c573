"""Three everyday jobs run to the end of their reports: a classifier of texts, a student, a model made smaller."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import pytest

import learning
import running
import scripted
import tiny
from potstill import Pipeline, Transformers
from potstill.engine.progress import Silent
from potstill.steps import (
    ClassifyWithTeacher,
    Evaluate,
    EvaluateClassifier,
    EvaluatePerplexity,
    ExportEncoder,
    LoadRows,
    PseudoLabel,
    QuantizeInt8,
    Rename,
    Report,
    SizeTable,
    Split,
    WandaPrune,
)
from potstill.trainers import Classifier, HardLabel

DEVICES = ("light", "blinds", "heating")


@dataclass(frozen=True)
class Chooser(scripted.Scripted):
    """A teacher behind an address, which can't score given texts."""

    gives_scores: ClassVar[bool] = False


def device(request):
    """Name the device that is asked for, as a teacher does."""
    said = scripted.asks(request)
    return next((name for name in DEVICES if f"the {name}" in said), DEVICES[0])


def answer(request):
    """Answer with something that no two rows share."""
    return f"done: {scripted.asks(request)[-12:]}"


def reported(report, store):
    """Run a pipeline with a report; return the page and its figures."""
    pipeline = Pipeline("job", outputs={"report": report})
    run = pipeline.run(store=store, watcher=Silent(), executor=running.Here())
    folder = run["report"].path
    return (folder / "index.html").read_text(encoding="utf-8"), json.loads((folder / "metrics.json").read_text())


@pytest.mark.slow
def test_a_classifier_from_unlabelled_texts_beside_what_is_deployed_of_it(tmp_path):
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    texts = [f"turn on the {name} in room {number}" for number in range(20) for name in DEVICES]
    rows = LoadRows([{"instruction": text} for text in texts])
    labels = ClassifyWithTeacher(rows, teacher=Chooser(say=device), classes=DEVICES, samples=1, name="labels")
    data = Split(Rename(labels, {"instruction": "text"}), test=0.3)
    student = Classifier(
        data.train,
        student=str(tiny.encoder(tmp_path / "encoder")),
        epochs=12,
        batch_size=8,
        learning_rate=3e-3,
        warmup=0,
    )
    export = ExportEncoder(student, format="onnx", precision="int8", tolerance=0.9)
    report = Report({"student": EvaluateClassifier(student, data.test), "onnx": EvaluateClassifier(export, data.test)})

    page, table = reported(report, tmp_path / "store")

    assert [model["model"] for model in table["models"]] == ["student", "onnx"]
    assert table["sections"][0]["kind"] == "Classes of texts"
    assert "agreement with the teacher&#39;s answers on test" in page and "written by a teacher (step labels)" in page


@pytest.mark.slow
def test_a_student_that_answers_nothing_right_is_not_praised(tmp_path):
    base = str(tiny.causal_lm(tmp_path / "base"))
    teacher = scripted.Scripted(say=answer)
    labels = PseudoLabel(LoadRows(learning.rows(24)), teacher=teacher, name="labels")
    data = Split(labels, test=0.25)
    student = HardLabel(data.train, student=base, epochs=1, batch_size=8)
    models = {"teacher": teacher, "student": Transformers(student), "base": Transformers(base)}
    report = Report({name: Evaluate(model, data.test, max_tokens=8) for name, model in models.items()})

    page, table = reported(report, tmp_path / "store")

    lead = page[page.index('<p class="lead">') :].partition("</p>")[0]
    assert "is usable: student has 0.0\u202f% agreement with the teacher&#39;s answers on test" in lead
    assert "best" not in lead and "exact match" not in lead
    assert table["sections"][0]["chosen"] is None
    assert "were written by a teacher (step labels)" in page
    # nobody asked for JSON
    assert "Valid JSON" not in page


@pytest.mark.slow
def test_a_model_made_smaller_without_training_beside_the_table_of_its_sizes(tmp_path):
    given = str(tiny.causal_lm(tmp_path / "given"))
    texts = LoadRows([{"text": f"turn on the light in the kitchen, number {number}"} for number in range(40)])
    models = {
        "given": given,
        "int8": QuantizeInt8(given, calibration=texts, text="text"),
        "sparse": WandaPrune(given, sparsity=0.5, calibration=texts, text="text"),
    }
    sizes = SizeTable(list(models.values()), stages=tuple(models))
    report = Report(
        {name: EvaluatePerplexity(model, texts, window=32) for name, model in models.items()} | {"sizes": sizes}
    )

    page, table = reported(report, tmp_path / "store")

    assert [section["main"] for section in table["sections"]] == ["perplexity"]
    assert "Perplexity (lower is better)" in page and "<h2>sizes</h2>" in page
    figures = {model["model"]: model for model in table["models"] if "weights_bytes" in model}
    assert figures["int8"]["weights_bytes"] < figures["sparse"]["weights_bytes"]
    # zeros that are stored make no model smaller
    assert table["sections"][0]["chosen"] != "sparse"
