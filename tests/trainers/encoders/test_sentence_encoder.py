"""SentenceEncoder: pairs come close, a teacher's vectors are learned, and a kill changes nothing."""

import sys

import numpy as np
import pytest
import torch

import learning
import tiny
from potstill.errors import BadInput, MissingExtra
from potstill.trainers.encoders.embedding_batches import Contrastive, Distilled, collate, packed, ranking, unpacked
from potstill.trainers.encoders.sentence_encoder import SentenceEncoder

PAIRS = [
    ("turn on the light", "light kitchen please"),
    ("set the heating", "bedroom to 21 degrees"),
    ("open the blinds", "halfway blinds open"),
    ("start the vacuum", "vacuum living room"),
]
FIELDS = {"epochs": 2, "batch_size": 4, "learning_rate": 5e-3}


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """A tiny plain encoder, 32 wide."""
    return tiny.encoder(tmp_path_factory.mktemp("student"))


def pairs():
    return [
        {"id": f"{number}-{place}", "anchor": f"{a}{' please' * place}", "positive": b}
        for place in range(2)
        for number, (a, b) in enumerate(PAIRS)
    ]


def train(folder, student, made, teacher=None, progress=None, **fields):
    context = learning.context(folder, progress=progress)
    step = SentenceEncoder(None, student=str(student), teacher=teacher and str(teacher), **{**FIELDS, **fields})
    step.run(learning.dataset(made), str(student), context, teacher=teacher and str(teacher))
    return context


def encode(folder, texts):
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu").encode(texts, show_progress_bar=False)


def test_texts_are_stored_together_and_read_side_by_side():
    rows = [packed([[2, 5, 3], [2, 3]]), packed([[2, 3], [2, 7, 8, 3]]), packed([[2, 9, 3], [2, 3]])]
    assert [unpacked(row) for row in rows] == [[[2, 5, 3], [2, 3]], [[2, 3], [2, 7, 8, 3]], [[2, 9, 3], [2, 3]]]
    batch = collate(rows, padding=0)
    assert batch["input_ids"].tolist()[:4] == [[2, 5, 3, 0], [2, 3, 0, 0], [2, 9, 3, 0], [2, 3, 0, 0]]
    assert batch["attention_mask"].sum(dim=1).tolist() == [3, 2, 3, 2, 4, 2] and len(batch["labels"]) == 3
    # the first and the third have the same positive, which does not count against either
    assert batch["repeats"].tolist() == [[False, False, True], [False, False, False], [True, False, False]]


def test_the_losses_are_those_of_sentence_transformers():
    from sentence_transformers.losses import MSELoss, MultipleNegativesRankingLoss

    torch.manual_seed(0)
    a, b, c = torch.randn(3, 5, 8)
    theirs = MultipleNegativesRankingLoss(torch.nn.Identity())
    none = torch.zeros(5, 10, dtype=torch.bool)
    ours = ranking(a, torch.cat([b, c]), none, 20.0)
    torch.testing.assert_close(ours.mean(), theirs.compute_loss_from_embeddings([a, b, c], None))
    batch = {"labels": torch.zeros(5), "vectors": c, "repeats": none[:, :5]}
    torch.testing.assert_close(Contrastive(20.0)(torch.cat([a, b]), batch), ranking(a, b, none[:, :5], 20.0))
    wanted = MSELoss(torch.nn.Identity()).compute_loss_from_embeddings([a], [c])
    torch.testing.assert_close(Distilled()(a, batch).total().mean(), wanted)
    both = Distilled()(torch.cat([a, b]), batch)
    torch.testing.assert_close(both.parts["translation"].mean(), torch.nn.functional.mse_loss(b, c))


def test_a_text_that_reads_like_the_right_one_does_not_count_against_it():
    anchors, candidates = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    repeats = torch.tensor([[False, True, False], [False, False, False]])
    alone = ranking(anchors[:1], candidates[[0, 2]], repeats[:1, [0, 2]], 20.0)
    torch.testing.assert_close(ranking(anchors, candidates, repeats, 20.0)[:1], alone)


def test_pairs_come_together_and_the_folder_is_a_sentence_encoder(tmp_path, student):
    context = train(tmp_path, student, pairs(), epochs=10)
    losses = [point["loss"] for point in context.notes["curve"]]
    assert losses[-1] < 0.3 * losses[0]
    anchors, positives = (encode(context.out, list(texts)) for texts in zip(*PAIRS, strict=True))
    anchors, positives = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (anchors, positives))
    assert (anchors @ positives.T).argmax(axis=1).tolist() == [0, 1, 2, 3]
    card = (context.out / "README.md").read_text()
    assert "sentence-similarity" in card and "multiple negatives ranking" in card
    for path in context.out.rglob("*.json"):
        assert str(tmp_path) not in path.read_text() and str(student) not in path.read_text(), path.name


def test_a_teachers_vectors_are_learned_with_a_layer_more_where_they_are_longer(tmp_path, student):
    wide = tiny.encoder(tmp_path / "wide", hidden=48, seed=3)
    result = [{"id": row["id"], "text": row["anchor"], "other": row["positive"]} for row in pairs()]
    context = train(tmp_path / "run", student, result, wide, translation="other", epochs=15)
    first, last = context.notes["curve"][0], context.notes["curve"][-1]
    assert last["text"] < 0.5 * first["text"] and last["translation"] < 0.5 * first["translation"]
    texts = [row["text"] for row in result]
    ours, theirs = encode(context.out, texts), encode(wide, texts)
    assert ours.shape == theirs.shape == (8, 48)
    assert ((ours - theirs) ** 2).mean() < 0.5 * (theirs**2).mean()


def test_an_interrupted_training_ends_with_the_same_weights(tmp_path, student):
    def stop(done, total=None, **_):
        if done == 3:
            raise KeyboardInterrupt

    undisturbed = train(tmp_path / "undisturbed", student, pairs(), checkpoint_every=2)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "killed", student, pairs(), checkpoint_every=2, progress=stop)
    assert list((tmp_path / "killed" / "work" / "checkpoints").glob("checkpoint-2"))
    resumed = train(tmp_path / "killed", student, pairs(), checkpoint_every=2)
    before, after = learning.weights(undisturbed.out), learning.weights(resumed.out)
    assert set(before) == set(after) and all(torch.equal(before[name], after[name]) for name in before)


def test_rows_that_lack_a_text_are_left_out(tmp_path, student):
    result = [{**row, "negative": "" if number else "open"} for number, row in enumerate(pairs())]
    context = train(tmp_path, student, [*result, {**result[0], "anchor": None}], negative="negative", epochs=1)
    assert context.ledger.counts()["filtered"] == {"no negative": 7, "no anchor": 1}
    with pytest.raises(BadInput, match="no row to train on: 8 x no positive"):
        train(tmp_path / "none", student, [{**row, "positive": " "} for row in pairs()])


def test_bad_parameters_and_a_missing_package_are_named(tmp_path, student, monkeypatch):
    step = SentenceEncoder(None, student="x", processes=2, batch_size=1, translation="y")
    assert [problem.field for problem in step.check()] == ["processes", "batch_size", "translation"]
    assert step.needs() == {"rows": ["anchor", "positive"]}
    assert SentenceEncoder(None, student="x", teacher="t").needs() == {"rows": ["text"]}
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtra, match=r'package sentence-transformers.*pip install "potstill\[embeddings\]"'):
        train(tmp_path, student, pairs())
