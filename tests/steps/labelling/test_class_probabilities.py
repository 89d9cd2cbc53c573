"""A classifier's probabilities beside the rows' own labels, by the names of its classes; and halves of texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from datasets import Dataset

import classifier
from fakes import context_in
from potstill import BadInput
from potstill.steps.labelling.class_probabilities import ClassProbabilities
from potstill.steps.labelling.split_text import Halves
from potstill.steps.loading.in_memory import LoadRows

ROWS = [{"text": "play some jazz", "label": "true"}, {"text": "dim the lamp please", "label": "kept"}]
NONE = LoadRows(ROWS)


def test_they_are_by_name_and_the_label_stays(tmp_path: Path) -> None:
    model = classifier.intents(tmp_path / "classifier")
    context = context_in(tmp_path)
    result = ClassProbabilities(NONE, model).run(Dataset.from_list(ROWS), model, context).read_all().to_pylist()
    assert [row["label"] for row in result] == ["true", "kept"]
    first, second = (row["probabilities"] for row in result)
    assert list(first) == ["light", "music"] and sum(first.values()) == pytest.approx(1)
    assert first["music"] > 0.9 and second["light"] > 0.9
    assert context.ledger.counts()["kept"] == 2


def test_a_column_that_is_there_is_not_written_over() -> None:
    with pytest.raises(BadInput, match="have a column probabilities already: drop or rename it"):
        ClassProbabilities(NONE, "model").columns({"rows": frozenset({"text", "probabilities"})})


def test_halves_of_a_text_are_columns(tmp_path: Path) -> None:
    rows = Dataset.from_list([{"text": "turn  the lamp off now"}, {"text": "stop"}])
    halves = [(row["first"], row["second"]) for row in Halves(NONE).run(rows)]
    assert halves == [("turn the lamp", "off now"), ("stop", "stop")]
    assert [problem.field for problem in Halves(NONE, into=("a", "a")).check()] == ["into"]
    with pytest.raises(BadInput, match="have a column b already"):
        Halves(NONE, into=("a", "b")).columns({"rows": frozenset({"text", "b"})})
