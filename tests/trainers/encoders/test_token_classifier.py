"""TokenClassifier: each word is labelled at its first token, by labels and by a teacher."""

import pytest
import torch

import learning
import tiny
from numeric import assert_same_outputs
from potstill.errors import BadInput
from potstill.trainers.encoders import class_teacher
from potstill.trainers.encoders.token_classifier import KIND, TokenClassifier
from potstill.trainers.encoders.word_batches import collate, reading, tagged

KINDS = {"light": "DEVICE", "heating": "DEVICE", "blinds": "DEVICE", "kitchen": "ROOM", "bedroom": "ROOM"}
TEXTS = ("turn on the light in the kitchen", "set the heating in the bedroom", "open the blinds", "the kitchen please")
FIELDS = {"epochs": 25, "batch_size": 4, "learning_rate": 5e-3}


def rows():
    return [
        {"id": f"r{number}", "tokens": words, "labels": [KINDS.get(word, "O") for word in words]}
        for number, words in enumerate(text.split() for text in TEXTS * 2)
    ]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return tiny.encoder(tmp_path_factory.mktemp("encoder"))


def train(folder, student, made=None, teacher=None, **fields):
    context = learning.context(folder)
    step = TokenClassifier(None, student=str(student), teacher=teacher and str(teacher), **{**FIELDS, **fields})
    dataset = learning.dataset(rows() if made is None else made)
    step.run(dataset, str(student), context, teacher=teacher and str(teacher))
    return context


@pytest.fixture(scope="module")
def tagger(tmp_path_factory, encoder):
    """A run that has learned the rows."""
    return train(tmp_path_factory.mktemp("tagger"), encoder)


def test_it_learns_the_words_labels_and_transformers_names_them(tagger):
    from transformers import pipeline

    assert tagger.notes["classes"] == 3 and tagger.notes["target tokens"] == sum(len(row["tokens"]) for row in rows())
    pipe = pipeline("token-classification", model=str(tagger.out), device="cpu")
    actual = {entry["word"]: entry["entity"] for entry in pipe("set the light in the kitchen")}
    assert actual["light"] == "DEVICE" and actual["kitchen"] == "ROOM" and "the" not in actual
    assert 'pipeline_tag: "token-classification"' in (tagger.out / "README.md").read_text()


def test_places_and_classes_come_back_from_a_row():
    batch = collate([tagged([2, 5, 6, 7, 3], [(1, 2), (3, -1)], 3), tagged([2, 5, 3], [(1, 0)], 3)], 0, 3)
    assert batch["labels"].tolist() == [2, -1, 0] and batch["places"].tolist() == [1, 3, 1]
    assert batch["rows"].tolist() == [0, 0, 1] and batch["attention_mask"].sum(dim=1).tolist() == [5, 3]


def test_padding_does_not_change_what_a_word_gets(tagger):
    from transformers import AutoModelForTokenClassification

    model, read = AutoModelForTokenClassification.from_pretrained(tagger.out).eval(), reading(0, 3)
    short, long = tagged([2, 5, 3], [(1, 0)], 3), tagged([2, 7, 8, 9, 5, 6, 3], [(2, 1), (4, 2)], 3)
    together = read.logits(model, collate([long, short], 0, 3))
    torch.testing.assert_close(together[2:], read.logits(model, collate([short], 0, 3)))


def test_a_teacher_does_for_labels(tmp_path, encoder, tagger):
    unlabelled = [{"id": row["id"], "tokens": row["tokens"]} for row in rows()]
    context = train(tmp_path, encoder, unlabelled, tagger.out, alpha=1.0, epochs=15)
    first, last = context.notes["curve"][0], context.notes["curve"][-1]
    assert last["divergence"] < 0.2 * first["divergence"] and last["agreement"] > 0.9
    loaded = class_teacher.load(tagger.out, ["ROOM", "O", "DEVICE"], kind=KIND, read=reading(0, 3).logits)
    batch = collate([tagged([2, 5, 6, 3], [(1, 0)], 3)], 0, 3)
    sorted_names = class_teacher.load(tagger.out, ["DEVICE", "O", "ROOM"], kind=KIND, read=reading(0, 3).logits)
    assert_same_outputs(loaded.logits(batch), sorted_names.logits(batch)[:, [2, 1, 0]])


def test_bad_rows_are_left_out_and_bad_teachers_refused(tmp_path, encoder):
    result = rows()
    result[0]["labels"] = result[0]["labels"][:-1]
    result[1]["tokens"], result[2]["labels"] = [], [None, None, None]
    context = train(tmp_path / "run", encoder, result, epochs=1)
    assert context.ledger.counts()["filtered"] == {"not as many labels as words": 1, "no words": 1, "no label": 1}
    with pytest.raises(BadInput, match="is a BertModel and no token classifier: give a folder that TokenClassifier"):
        train(tmp_path / "teacher", encoder, teacher=encoder)
    assert [p.field for p in TokenClassifier(None, student="x", alpha=0.5).check()] == ["alpha"]
    assert TokenClassifier(None, student="x").needs() == {"rows": ("tokens", "labels")}
