"""The mean of several labellers' probabilities, with weights, over the same rows and classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from fakes import context_in
from potstill import BadInput
from potstill.steps.labelling.average_probabilities import AverageProbabilities
from potstill.steps.loading.in_memory import LoadRows

FIRST = [
    {"text": "dim it", "label": "x", "probabilities": {"light": 0.9, "music": 0.1}},
    {"text": "louder", "label": "x", "probabilities": {"light": 0.2, "music": 0.8}},
]
SECOND = [
    {"text": "dim it", "label": "y", "probabilities": {"music": 0.3, "light": 0.7}},
    {"text": "louder", "label": "y", "probabilities": {"music": 0.4, "light": 0.6}},
]


def average(folder: Path, *versions: list[dict[str, Any]], **fields: Any) -> list[dict[str, Any]]:
    step = AverageProbabilities([LoadRows(version) for version in versions], **fields)
    return step.run([Dataset.from_list(version) for version in versions], context_in(folder)).read_all().to_pylist()


def test_classes_are_averaged_by_name_with_weights(tmp_path: Path) -> None:
    equal = average(tmp_path, FIRST, SECOND)
    assert [row["probabilities"]["light"] for row in equal] == pytest.approx([0.8, 0.4])
    weighted = average(tmp_path, FIRST, SECOND, weights=(0.25, 0.75))
    assert [row["probabilities"]["music"] for row in weighted] == pytest.approx([0.25, 0.5])
    assert [row["label"] for row in weighted] == ["x", "x"]
    assert [row["text"] for row in weighted] == ["dim it", "louder"]


def test_lists_are_averaged_by_place(tmp_path: Path) -> None:
    versions = [[{"probabilities": [1.0, 0.0]}], [{"probabilities": [0.0, 1.0]}]]
    assert average(tmp_path, *versions, weights=(0.75, 0.25)) == [{"probabilities": [0.75, 0.25]}]


def test_the_label_can_be_that_of_the_mean(tmp_path: Path) -> None:
    result = average(tmp_path, FIRST, SECOND, weights=(1.0, 0.0), relabel=True)
    assert [row["label"] for row in result] == ["light", "music"]
    assert [row["score"] for row in result] == pytest.approx([0.9, 0.8])


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (SECOND[:1], "the versions have 2, 1 rows"),
        (
            [SECOND[0], SECOND[1] | {"text": "softer"}],
            "row 1 of version 1 has text 'softer', that of the first 'louder'",
        ),
        (
            [row | {"probabilities": {"light": 0.5, "heat": 0.5}} for row in SECOND],
            r"version 1 has other classes than the first: it lacks \['music'\] and adds \['heat'\]",
        ),
        ([row | {"probabilities": [0.5, 0.5]} for row in SECOND], "version 1 has other classes"),
        ([row | {"probabilities": {"light": 0.5, "music": 0.7}} for row in SECOND], "row 0, 1: probabilities that"),
    ],
)
def test_versions_that_do_not_go_together(tmp_path: Path, other: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        average(tmp_path, FIRST, other)


def test_lists_of_different_length_and_lists_to_relabel_by(tmp_path: Path) -> None:
    versions = [[{"probabilities": [1.0, 0.0]}], [{"probabilities": [0.5, 0.25, 0.25]}]]
    with pytest.raises(BadInput, match="version 1 has 3 probabilities a row, the first one 2"):
        average(tmp_path, *versions)
    with pytest.raises(BadInput, match="are lists, which name no class: write them with ClassProbabilities"):
        average(tmp_path, versions[0], relabel=True)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((0.5, 0.6), r"add up to 1, got \(0.5, 0.6\), such as \(0.4545, 0.5455\)"),
        ((-0.5, 1.5), "must be at least 0"),
        ((1.0,), "1 weights for 2 versions"),
    ],
)
def test_weights_are_checked_before_anything_runs(weights: tuple[float, ...], message: str) -> None:
    step = AverageProbabilities([LoadRows(FIRST), LoadRows(SECOND)], weights=weights)
    with pytest.raises(BadInput, match=message):
        raise BadInput(*step.check())
