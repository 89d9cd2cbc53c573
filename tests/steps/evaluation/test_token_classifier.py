"""EvaluateTokenClassifier: right figures for a tagger whose labels are known, and errors that name the way out."""

import json

import pyarrow.parquet
import pytest
from datasets import Dataset

import tiny
from evaluating import context
from potstill.errors import BadInput
from potstill.metrics.kept_rows import FILE, SPANS, read
from potstill.steps.evaluation.token_classifier import EvaluateTokenClassifier

CLASSES = ("O", "B-ROOM", "I-ROOM", "B-DEVICE")
SAID = {"kitchen": "B-ROOM", "living": "B-ROOM", "room": "I-ROOM", "light": "B-DEVICE"}
TEXTS = ["turn on the light", "the living room please", "the kitchen room", "open the blinds"]
TRUE = ["O O O B-DEVICE", "O B-ROOM I-ROOM O", "O B-ROOM O", "O O B-DEVICE"]


@pytest.fixture(scope="module")
def tagger(tmp_path_factory):
    """A classifier that labels the words in `SAID`, and all else O: built, not trained."""
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    folder = tiny.encoder(tmp_path_factory.mktemp("tagger"), layers=1)
    tokenizer, numbers = AutoTokenizer.from_pretrained(folder), dict(enumerate(CLASSES))
    model = AutoModelForTokenClassification.from_pretrained(
        folder, id2label=numbers, label2id={name: number for number, name in numbers.items()}
    )
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "LayerNorm" not in name:
                tensor.zero_()
        embedding = model.bert.embeddings.word_embeddings.weight
        embedding[:, 0] = 1.0
        for word, label in SAID.items():
            embedding[tokenizer.convert_tokens_to_ids(word)] = 2 * torch.eye(32)[CLASSES.index(label)]
        model.classifier.weight.copy_(torch.eye(32)[: len(CLASSES)])
    model.save_pretrained(folder)
    return folder


def rows(texts, labels):
    return Dataset.from_dict({"tokens": [text.split() for text in texts], "labels": labels})


def split(labels):
    return [each.split() for each in labels]


def measure(folder, given, tmp_path, **fields):
    return EvaluateTokenClassifier(str(folder), given, **fields).run(folder, given, context(tmp_path))


@pytest.mark.parametrize("batch_size", [1, 64])
def test_spans_found_labels_right_size_and_speed(tmp_path, tagger, batch_size):
    result = measure(tagger, rows(TEXTS, split(TRUE)), tmp_path, batch_size=batch_size, worst=2)
    test = result["sets"]["test"]
    # two of three spans named are right, of four expected; two of fourteen labels are wrong
    assert (test["n"], test["words"], test["spans"], test["unread_words"]) == (4, 14, 4, 0)
    assert (test["precision"], test["recall"], test["f1"]) == (2 / 3, 2 / 4, pytest.approx(4 / 7))
    assert test["accuracy"] == 12 / 14 and test["macro_f1"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert [(one["label"], one["n"], one["f1"]) for one in test["worst"]] == [
        ("ROOM", 2, 0.5),
        ("DEVICE", 2, pytest.approx(2 / 3)),
    ]
    assert test["mixed_up"] == [
        {"label": "B-DEVICE", "predicted": "O", "words": 1},
        {"label": "O", "predicted": "I-ROOM", "words": 1},
    ]
    assert result["classes"] == 4 and result["model_rows_per_s"] > result["rows_per_s"] > 0
    assert result["weights_bytes"] == (tagger / "model.safetensors").stat().st_size


def test_a_word_of_several_pieces_is_labelled_at_its_first_as_in_training(tmp_path, tagger):
    # the tokenizer cuts them at hyphens and at the exclamation mark
    given = rows(["the living-light kitchen-room! room"], split(["O B-ROOM B-ROOM I-ROOM"]))
    test = measure(tagger, given, tmp_path)["sets"]["test"]
    assert test["accuracy"] == 1 and test["f1"] == 1 and test["spans"] == 2


def test_what_is_trained_is_what_is_measured(tmp_path):
    import learning
    from potstill.trainers.encoders.token_classifier import TokenClassifier

    student = tiny.encoder(tmp_path / "student", layers=1)
    given = rows(
        ["the living-kitchen light!", "light-living please"] * 2, split(["O B-ROOM B-DEVICE", "B-DEVICE O"] * 2)
    )
    step = TokenClassifier(None, student=str(student), epochs=40, batch_size=2, learning_rate=1e-2)
    trained = step.run(given, str(student), learning.context(tmp_path / "run"))
    test = measure(trained, given, tmp_path)["sets"]["test"]
    assert test["f1"] == test["accuracy"] == 1


def test_words_beyond_the_longest_text_count_as_outside(tmp_path, tagger):
    given = rows(["turn on the light", "light on"], split(["O O O B-DEVICE", "B-DEVICE O"]))
    test = measure(tagger, given, tmp_path, max_length=5)["sets"]["test"]
    assert test["unread_words"] == 1 and (test["precision"], test["recall"]) == (1, 1 / 2)


def test_sets_are_apart_and_words_without_a_label_are_left_out(tmp_path, tagger):
    reported = []
    sets = {"a": rows(TEXTS[:2], split(TRUE[:2])), "b": rows(TEXTS[2:], [["O", "B-ROOM", None], ["O", "O", " "]])}
    step_context = context(tmp_path, lambda done, total=None, **_: reported.append((done, total)))
    result = EvaluateTokenClassifier(str(tagger), sets).run(tagger, sets, step_context)
    assert {name: (part["words"], part["f1"]) for name, part in result["sets"].items()} == {"a": (8, 1), "b": (4, 1)}
    assert reported == [(2, 2), (2, 2)] and step_context.ledger.kept == 4


def test_a_label_that_the_model_lacks_is_wrong_and_listed(tmp_path, tagger):
    test = measure(tagger, rows(TEXTS[:2], split(["O O O B-LAMP", TRUE[1]])), tmp_path)["sets"]["test"]
    assert test["unknown_labels"] == ["B-LAMP"] and (test["accuracy"], test["f1"]) == (7 / 8, 1 / 2)
    nothing = measure(tagger, rows(TEXTS[3:], split(["O O O"])), tmp_path)["sets"]["test"]
    assert (nothing["spans"], nothing["accuracy"], nothing["f1"], nothing["worst"]) == (0, 1, 0, [])


def test_bad_test_sets_and_models_are_named(tmp_path, tagger):
    with pytest.raises(BadInput, match="no label of the test set 'test' is a class of the model: it has B-X, "):
        measure(tagger, rows(TEXTS[:1], split(["O O O B-X"])), tmp_path)
    with pytest.raises(BadInput, match="no word of the test set 'test' has a label in 'labels'"):
        measure(tagger, rows(TEXTS[3:], [[None, None, None]]), tmp_path)
    with pytest.raises(BadInput) as caught:
        measure(tagger, {"a": rows([], []), "b": rows(["x y", "", "z"], [["O"], [], ["O"]])}, tmp_path)
    assert [problem.message[:40] for problem in caught.value.problems] == [
        "the test set 'a' has no rows: give at le",
        "row 0 of the test set 'b': it needs a li",
        "row 1 of the test set 'b': it needs a li",
    ]
    with pytest.raises(BadInput, match="is a BertModel and no token classifier: give a folder that TokenClassifier"):
        measure(tiny.encoder(tmp_path / "plain"), rows(TEXTS, split(TRUE)), tmp_path)
    with pytest.raises(BadInput, match="no model at"):
        measure(tmp_path / "missing", rows(TEXTS, split(TRUE)), tmp_path)
    assert [problem.field for problem in EvaluateTokenClassifier("model", {}).check()] == ["rows"]
    assert EvaluateTokenClassifier("model", {}).needs() == {"rows": ("tokens", "labels")}


def test_rows_are_kept_with_their_spans(tmp_path, tagger):
    texts, labels = [text.split() for text in TEXTS], split(TRUE)
    result = measure(tagger, rows(TEXTS, labels), tmp_path)
    kept = pyarrow.parquet.read_table(tmp_path / FILE).to_pylist()
    assert [json.loads(row["gold"]) for row in kept] == labels
    assert [json.loads(row["input"]) for row in kept] == texts
    right, actual, there = (sum(row[name] for row in kept) for name in SPANS)
    test = result["sets"]["test"]
    assert there == test["spans"]
    assert (right / actual if actual else 0) == test["precision"] and right / there == test["recall"]
    assert read(tmp_path)["test"].spans == ((1, 1, 1), (1, 1, 1), (0, 1, 1), (0, 0, 1))


def test_a_word_whose_scores_are_no_numbers_has_no_label(tmp_path, tagger):
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    model = AutoModelForTokenClassification.from_pretrained(tagger)
    tokenizer = AutoTokenizer.from_pretrained(tagger)
    with torch.no_grad():
        model.classifier.bias[0] = float("nan")
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    own = context(tmp_path)
    given = rows(TEXTS, split(TRUE))
    test = EvaluateTokenClassifier("model", None).run(tmp_path / "model", given, own)["sets"]["test"]
    # the first label is O, which most words have
    assert (test["accuracy"], test["f1"], test["undecided"]) == (0.0, 0.0, 4)
    assert "4 of 4 texts" in own.notes["warnings"][0]
