"""Labelled rows and pseudo-labelled ones as one set; a conflict between labellers is no label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datasets import Dataset

from fakes import context_in
from potstill.engine.context import Context
from potstill.steps.labelling.add_pseudo_labels import AddPseudoLabels
from potstill.steps.loading.in_memory import LoadRows

KNOWN = [{"text": "a", "kind": 1}, {"text": "b", "kind": 2}]


def picked(**labels: str) -> list[dict[str, Any]]:
    return [{"text": text, "label": label, "probabilities": [0.9, 0.1]} for text, label in labels.items()]


def add(folder: Path, *picks: list[dict[str, Any]], soft: bool = False) -> tuple[list[dict[str, Any]], Context]:
    step = AddPseudoLabels(LoadRows(KNOWN), [LoadRows(rows) for rows in picks], label="kind", soft=soft)
    context = context_in(folder)
    return list(step.run(Dataset.from_list(KNOWN), [Dataset.from_list(rows) for rows in picks], context)), context


def test_labels_become_texts_and_known_rows_keep_theirs(tmp_path: Path) -> None:
    rows, context = add(tmp_path, picked(a="2", c="1"))
    assert rows == [{"text": "c", "kind": "1"}, {"text": "a", "kind": "1"}, {"text": "b", "kind": "2"}]
    assert context.ledger.counts()["filtered"] == {"labelled already": 1}
    assert context.notes["pseudo_labelled"] == 1


def test_what_two_agree_on_counts_once_and_what_they_disagree_on_not_at_all(tmp_path: Path) -> None:
    rows, context = add(tmp_path, picked(c="1", d="1"), picked(d="2", c="1", e="2"))
    assert [row["text"] for row in rows] == ["c", "e", "a", "b"]
    assert context.ledger.counts()["filtered"] == {"labelled already": 1, "labelled differently": 2}


def test_probabilities_stay_if_wanted_and_are_empty_for_labelled_rows(tmp_path: Path) -> None:
    rows, _ = add(tmp_path, picked(c="1"), soft=True)
    assert [row["probabilities"] for row in rows] == [[0.9, 0.1], None, None]


def test_two_labellers_have_no_common_probabilities() -> None:
    one, other = LoadRows(picked(c="1")), LoadRows(picked(d="1"))
    step = AddPseudoLabels(LoadRows(KNOWN), [one, other], soft=True)
    assert [problem.field for problem in step.check()] == ["soft"]
    assert [problem.field for problem in AddPseudoLabels(LoadRows(KNOWN), [one], keep=()).check()] == ["keep"]
