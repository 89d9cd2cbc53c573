"""EvaluateClassifier: right figures for a model whose answers are known, and errors that name the way out."""

import math

import pyarrow.parquet
import pytest
from datasets import Dataset

import tiny
from evaluating import context
from potstill.errors import BadInput
from potstill.metrics.answers import wilson
from potstill.metrics.kept_rows import FILE, read
from potstill.steps.evaluation.class_rows import Answer, calibration, class_rows
from potstill.steps.evaluation.classifier import EvaluateClassifier

TEXTS = ["turn on the light", "open the blinds", "turn on the light in the kitchen please", "start the vacuum"]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A classifier that says `light` to texts with that word and `other` to all else: built, not trained."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = tiny.encoder(tmp_path_factory.mktemp("encoder"), layers=1)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, id2label={0: "light", 1: "other"}, label2id={"light": 0, "other": 1}
    )
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "LayerNorm" not in name:
                tensor.zero_()
        # the word's embedding stands out; attention hands it on to the first position, evenly from all
        embedding = model.bert.embeddings.word_embeddings.weight
        embedding[tokenizer.convert_tokens_to_ids("light"), 0] = 1.0
        embedding[:, 1] = 0.01
        attention = model.bert.encoder.layer[0].attention
        attention.self.value.weight.copy_(torch.eye(32))
        attention.output.dense.weight.copy_(torch.eye(32) * 50)
        model.bert.pooler.dense.weight.copy_(torch.eye(32))
        model.classifier.weight[0, 0], model.classifier.weight[1, 1] = 10.0, 3.0
    model.save_pretrained(folder)
    return folder


def rows(texts, labels):
    return Dataset.from_dict({"text": texts, "label": labels})


def measure(folder, given, tmp_path, **fields):
    return EvaluateClassifier(str(folder), given, **fields).run(folder, given, context(tmp_path))


@pytest.mark.parametrize("batch_size", [1, 64])
def test_accuracy_with_its_interval_and_what_is_mixed_up(tmp_path, classifier, batch_size):
    result = measure(
        classifier, rows(TEXTS, ["light", "other", "light", "light"]), tmp_path, batch_size=batch_size, worst=1
    )
    share = wilson(3, 4)
    test = result["sets"]["test"]
    expected = {"n": 4, "accuracy": 0.75, "accuracy_low": share.low, "accuracy_high": share.high, "unknown_labels": []}
    assert {name: test[name] for name in expected} == expected
    assert test["worst"] == [{"label": "other", "n": 1, "precision": 0.5, "recall": 1.0, "f1": pytest.approx(2 / 3)}]
    assert test["mixed_up"] == [{"label": "light", "predicted": "other", "rows": 1}]
    assert test["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert result["classes"] == 2 and result["peak_memory_bytes"] > 10e6
    assert result["model_rows_per_s"] > result["rows_per_s"] > 0
    assert result["weights_bytes"] == (classifier / "model.safetensors").stat().st_size


def test_sets_are_measured_apart_and_progress_is_told(tmp_path, classifier):
    reported = []
    sets = {"a": rows(TEXTS[:2], ["light", "other"]), "b": rows(TEXTS[2:], ["other", "other"])}
    step_context = context(tmp_path, lambda done, total=None, **_: reported.append((done, total)))
    result = EvaluateClassifier(str(classifier), sets).run(classifier, sets, step_context)
    assert {name: part["accuracy"] for name, part in result["sets"].items()} == {"a": 1.0, "b": 0.5}
    assert reported == [(2, 2), (2, 2)] and step_context.ledger.kept == 4


def test_a_label_that_the_model_lacks_is_wrong_and_listed(tmp_path, classifier):
    test = measure(classifier, rows(TEXTS, ["light", "other", "dark", "other"]), tmp_path)["sets"]["test"]
    assert test["accuracy"] == 0.75 and test["unknown_labels"] == ["dark"]


def test_bad_test_sets_are_named(tmp_path, classifier):
    with pytest.raises(BadInput, match="no label of the test set 'test' is a class of the model: it has 1, 2, "):
        measure(classifier, rows(TEXTS[:2], [1, 2]), tmp_path)
    with pytest.raises(BadInput) as caught:
        measure(classifier, {"a": rows([], []), "b": rows(["x", None], [None, "light"])}, tmp_path)
    assert [problem.message[:40] for problem in caught.value.problems] == [
        "the test set 'a' has no rows: give at le",
        "row 0 of the test set 'b': it needs a te",
        "row 1 of the test set 'b': it needs a te",
    ]
    with pytest.raises(BadInput, match="no model at"):
        measure(tmp_path / "missing", rows(TEXTS, ["light"] * 4), tmp_path)
    assert [problem.field for problem in EvaluateClassifier("model", {}).check()] == ["rows"]


def test_rows_are_kept_with_the_probability_of_the_answer(tmp_path, classifier):
    result = measure(classifier, rows(TEXTS, ["light", "other", "light", "light"]), tmp_path, batch_size=3)
    kept = pyarrow.parquet.read_table(tmp_path / FILE).to_pylist()
    assert [row["answer"] for row in kept] == ["light", "other", "light", "other"]
    assert [row["correct"] for row in kept] == [True, True, True, False]
    assert [(row["id"], row["set"], row["input"], row["gold"]) for row in kept] == [
        (str(number), "test", text, label)
        for number, (text, label) in enumerate(zip(TEXTS, ["light", "other", "light", "light"], strict=True))
    ]
    assert all(0.5 <= row["probability"] <= 1 for row in kept)
    test = result["sets"]["test"]
    assert test["brier"] == pytest.approx(
        sum((row["probability"] - row["correct"]) ** 2 for row in kept) / len(kept), abs=1e-6
    )
    assert 0 <= test["calibration_error_of_calibrated"] <= test["calibration_error_of_calibrated_high"] <= 1
    assert read(tmp_path)["test"].right == (True, True, True, False)


def test_probabilities_that_are_none_have_no_calibration():
    assert calibration([Answer("a", math.nan)], [True]) == {} == calibration([], [])
    assert calibration([Answer("a", 1.0000001)], [True])["brier"] == 0
    [row] = class_rows("test", ["0"], ["x"], [1], [Answer("1", math.nan)])
    assert row["probability"] is None and row["correct"]


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_text_whose_scores_are_no_numbers_has_no_class(tmp_path, classifier, broken):
    """Of NaN the first is the largest: a broken model would name the first class, and be right where that is right."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(classifier)
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[tokenizer.convert_tokens_to_ids("blinds")] = broken
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    own = context(tmp_path)
    given = rows(["open the blinds", *TEXTS[::2], "blinds"], ["light"] * 4)
    figures = EvaluateClassifier("model", None).run(tmp_path / "model", given, own)["sets"]["test"]
    assert (figures["accuracy"], figures["undecided"]) == (0.5, 2)
    assert [warning[:17] for warning in own.notes["warnings"]] == ["2 of 4 texts of t"]
    kept = pyarrow.parquet.read_table(tmp_path / FILE).to_pylist()
    assert [(row["answer"], row["probability"] is None) for row in kept][::3] == [("", True)] * 2
    assert read(tmp_path)["test"].right == (False, True, True, False)


def test_a_model_whose_scores_are_numbers_has_no_undecided(tmp_path, classifier):
    assert "undecided" not in measure(classifier, rows(TEXTS, ["light"] * 4), tmp_path)["sets"]["test"]
