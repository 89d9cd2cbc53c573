"""A live teacher of classifiers: it says to each batch what it would have written into the rows."""

import json

import pytest
import torch

import learning
import tiny
from potstill.errors import BadInput
from potstill.trainers.encoders import class_teacher
from potstill.trainers.encoders.classifier import Classifier
from potstill.trainers.encoders.text_batches import collate, labelled

WORDS = {"light": "turn on the light in the", "heat": "set the heating in the", "blind": "open the blinds in the"}
FIELDS = {"epochs": 2, "batch_size": 6, "learning_rate": 5e-3}


def rows(count=24):
    return [
        {"id": f"r{number}", "text": f"{WORDS[label]} {'kitchen ' * (number % 4 + 1)}", "label": label}
        for number in range(count)
        for label in [list(WORDS)[number % 3]]
    ]


def train(folder, student, made=None, teacher=None, **fields):
    context = learning.context(folder)
    step = Classifier(None, student=str(student), teacher=teacher and str(teacher), **{**FIELDS, **fields})
    dataset = learning.dataset(rows() if made is None else made)
    step.run(dataset, str(student), context, teacher=teacher and str(teacher))
    return context


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return tiny.encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory, encoder):
    """A classifier that has learned the rows, wider than the students."""
    wide = tiny.encoder(tmp_path_factory.mktemp("wide"), hidden=48, seed=3)
    return train(tmp_path_factory.mktemp("teacher"), wide, epochs=10).out


@pytest.fixture(scope="module")
def turned(tmp_path_factory, teacher):
    """The same teacher with its classes in another order."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder, order = tmp_path_factory.mktemp("turned"), [2, 0, 1]
    model = AutoModelForSequenceClassification.from_pretrained(teacher)
    names = [model.config.id2label[number] for number in order]
    model.config.id2label, model.config.label2id = dict(enumerate(names)), {n: i for i, n in enumerate(names)}
    with torch.no_grad():
        model.classifier.weight.copy_(model.classifier.weight[order])
        model.classifier.bias.copy_(model.classifier.bias[order])
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(teacher).save_pretrained(folder)
    return folder


def spoken(teacher):
    """Return the rows with the probabilities that the teacher gives, by name."""
    from transformers import pipeline

    pipe = pipeline("text-classification", model=str(teacher), device="cpu", top_k=None)
    given = pipe([row["text"] for row in rows()])
    return [
        {**row, "probabilities": {entry["label"]: entry["score"] for entry in entries}}
        for row, entries in zip(rows(), given, strict=True)
    ]


def test_a_live_teacher_trains_what_its_written_probabilities_train_whatever_its_order(
    tmp_path, encoder, teacher, turned
):
    fields = {"alpha": 0.7, "temperature": 2.0}
    live = train(tmp_path / "live", encoder, teacher=teacher, **fields)
    other = train(tmp_path / "turned", encoder, teacher=turned, **fields)
    stored = train(tmp_path / "stored", encoder, spoken(teacher), **fields)
    wanted = learning.weights(live.out)
    for context in (other, stored):
        for name, weight in learning.weights(context.out).items():
            torch.testing.assert_close(weight, wanted[name], atol=1e-5, rtol=1e-4)
    hard = learning.weights(train(tmp_path / "hard", encoder).out)
    assert (hard["classifier.weight"] - wanted["classifier.weight"]).abs().max() > 2e-4
    card = (live.out / "README.md").read_text()
    assert "0.7" in card and live.notes["alpha"] == 0.7


def test_the_teacher_is_in_evaluation_mode_and_learns_nothing(teacher):
    loaded = class_teacher.load(teacher, ["blind", "heat", "light"])
    batch = collate([labelled([2, 5, 6, 3], 0, None)], padding=0)
    first, second = loaded.logits(batch), loaded.logits(batch)
    assert torch.equal(first, second) and not first.requires_grad and not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())


def test_unlabelled_rows_are_learned_from_the_teacher_alone(tmp_path, encoder, teacher):
    unlabelled = [{"id": row["id"], "text": row["text"]} for row in rows()]
    context = train(tmp_path / "none", encoder, unlabelled, teacher, alpha=1.0, epochs=16)
    first, last = context.notes["curve"][0], context.notes["curve"][-1]
    assert last["divergence"] < first["divergence"] / 2 and last["loss"] == pytest.approx(last["soft"])
    assert context.notes["classes"] == 3
    some = [row if number % 2 else {**row, "label": None} for number, row in enumerate(rows())]
    kept = train(tmp_path / "some", encoder, some, teacher)
    assert kept.ledger.counts()["kept"] == 24
    lost = train(tmp_path / "lost", encoder, some)
    assert lost.ledger.counts()["filtered"] == {"no label": 12}


def test_bad_teachers_are_refused_with_the_remedy(tmp_path, encoder, teacher):
    with pytest.raises(BadInput, match="is a BertModel and no sequence classifier"):
        train(tmp_path / "1", encoder, teacher=encoder)
    strange = [*rows(), {"id": "x", "text": "play a song", "label": "music"}]
    with pytest.raises(BadInput, match="has labels that are no classes: music; leave the rows out, or take a teacher"):
        train(tmp_path / "2", encoder, strange, teacher)
    with pytest.raises(BadInput, match="only in classes= music; only the teacher has heat; leave classes= out"):
        train(tmp_path / "3", encoder, rows(1), teacher, classes=("light", "blind", "music"))
    with pytest.raises(BadInput, match="leave teacher= out to learn those, or drop the column"):
        train(tmp_path / "4", encoder, spoken(teacher), teacher)
    other = tiny.encoder(tmp_path / "other")
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    tokenizer["normalizer"] = None
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(BadInput, match="ClassProbabilities write the teacher's probabilities"):
        train(tmp_path / "5", other, teacher=teacher)


def test_two_teachers_and_a_teacher_without_a_say_are_found_before_anything_runs(teacher):
    from potstill.engine.pipeline import Pipeline
    from potstill.errors import RequestError
    from potstill.steps import LoadRows

    both = LoadRows([{"text": "a", "label": "b", "probabilities": {"b": 1.0}}])
    student = Classifier(both, student=str(teacher), teacher=str(teacher), alpha=0.0)
    with pytest.raises(RequestError) as caught:
        Pipeline("x", outputs={"student": student}).plan()
    assert "alpha: is 0, so the teacher has no weight" in str(caught.value)
    student = Classifier(both, student=str(teacher), teacher=str(teacher))
    with pytest.raises(RequestError, match="teacher: the rows hold probabilities and a teacher is given too"):
        Pipeline("x", outputs={"student": student}).plan()
    assert Classifier(None, student="x", teacher="y", alpha=1.0).needs() == {"rows": ("text",)}
