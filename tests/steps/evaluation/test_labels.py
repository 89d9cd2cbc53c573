"""EvaluateLabels: labels that rows hold have the figures of a classifier, and are paired with one."""

from __future__ import annotations

import math

import pytest
from datasets import Dataset

from evaluating import context
from potstill.errors import BadInput
from potstill.metrics.answers import row_digest
from potstill.metrics.kept_rows import FILE, read
from potstill.steps.evaluation.labels import EvaluateLabels

TEXTS = ["dim it", "play jazz", "louder", "off"]
GOLD = ["light", "music", "music", "light"]


def measure(tmp_path, columns, **fields):
    rows = Dataset.from_dict({"text": TEXTS, "gold": GOLD, **columns})
    return EvaluateLabels(rows, **fields).run(rows, context(tmp_path))


def test_labels_have_the_figures_of_a_classifier(tmp_path):
    result = measure(tmp_path, {"label": ["light", "music", "light", "light"]}, worst=1)
    scores = result["sets"]["test"]
    assert (scores["n"], scores["accuracy"], scores["unlabeled"]) == (4, 0.75, 0)
    assert scores["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert scores["mixed_up"] == [{"label": "music", "predicted": "light", "rows": 1}]
    assert [one["label"] for one in scores["worst"]] == ["music"]
    assert "brier" not in scores and "weights_bytes" not in result and "rows_per_s" not in result
    # the digest by which a report pairs the rows with those of a classifier
    assert scores["row_digest"] == row_digest(zip(TEXTS, GOLD, strict=True))
    assert (tmp_path / FILE).is_file() and len(read(tmp_path)["test"].right) == 4


def test_probabilities_by_class_say_whether_they_hold(tmp_path):
    shares = [{"light": 0.9, "music": 0.1}, {"light": 0.2, "music": 0.8}, {"light": 0.6, "music": 0.4}]
    shares.append({"light": 1.0, "music": 0.0})
    columns = {"label": ["light", "music", "light", "light"], "probabilities": shares}
    scores = measure(tmp_path, columns)["sets"]["test"]
    assert scores["brier"] == pytest.approx((0.1**2 + 0.2**2 + 0.6**2 + 0) / 4)
    assert math.isfinite(scores["calibration_error"])


def test_a_row_without_a_label_is_wrong_and_counted(tmp_path):
    scores = measure(tmp_path, {"label": ["light", None, "music", "light"]})["sets"]["test"]
    assert (scores["accuracy"], scores["unlabeled"], scores["unknown_labels"]) == (0.75, 1, [])


def test_what_is_wrong_with_rows_is_said_together(tmp_path):
    with pytest.raises(BadInput) as caught:
        measure(tmp_path, {"gold": ["light", None, "music", None], "label": GOLD})
    assert "row 1 of the test set" in str(caught.value) and "row 3 of the test set" in str(caught.value)
    problems = list(EvaluateLabels(Dataset.from_dict({"text": []}), gold="label").check())
    assert "against itself" in problems[0].message
