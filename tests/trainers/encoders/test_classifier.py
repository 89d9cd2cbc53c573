"""Classifier: it learns labels and a teacher's probabilities, survives a kill, and its folder loads anywhere."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import learning
import tiny
from potstill.errors import BadInput, PotstillError
from potstill.trainers.encoders.base import default_learning_rate
from potstill.trainers.encoders.class_names import ordered
from potstill.trainers.encoders.classifier import Classifier, ClassObjective
from potstill.trainers.encoders.text_batches import LEAST, UNLABELLED, collate, labelled

SCRIPT = Path(__file__).parents[2] / "support" / "killed_classifier.py"
WORDS = {"light": "turn on the light in the", "heat": "set the heating in the", "blind": "open the blinds in the"}
FIELDS = {"epochs": 25, "batch_size": 6, "learning_rate": 5e-3}


def rows(count=24):
    result = []
    for number in range(count):
        label = list(WORDS)[number % 3]
        text = f"{WORDS[label]} {('kitchen', 'bedroom', 'room')[number // 3 % 3]}{' please' * (number // 9)}"
        result.append({"id": f"r{number}", "text": text, "label": label})
    return result


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    """A tiny encoder that no test writes to."""
    return tiny.encoder(tmp_path_factory.mktemp("encoder"))


def train(folder, encoder, made=None, **fields):
    context = learning.context(folder)
    step = Classifier(None, student=str(encoder), **{**FIELDS, **fields})
    step.run(learning.dataset(rows() if made is None else made), str(encoder), context)
    return context


def classify(folder, texts):
    """Return the probabilities that the model gives to its classes by name."""
    from transformers import pipeline

    pipe = pipeline("text-classification", model=str(folder), device="cpu", top_k=None)
    return [{entry["label"]: entry["score"] for entry in entries} for entries in pipe(texts)]


def test_it_learns_the_labels_and_transformers_names_them(tmp_path, encoder):
    context = train(tmp_path, encoder)
    losses = [point["loss"] for point in context.notes["curve"]]
    assert losses[0] == pytest.approx(math.log(3), rel=0.1) and losses[-1] < 0.1
    config = json.loads((context.out / "config.json").read_text())
    assert config["id2label"] == {"0": "blind", "1": "heat", "2": "light"}
    assert config["architectures"] == ["BertForSequenceClassification"] and config["dtype"] == "float32"
    actual = classify(context.out, ["turn on the light please", "set the heating to 21 degrees", "open the blinds"])
    assert [max(scores, key=scores.get) for scores in actual] == ["light", "heat", "blind"]
    assert context.notes["learning_rate"] == 5e-3 and context.notes["target tokens"] == 24


def test_the_folder_serves_transformers_and_sentence_transformers_and_tells_nothing_of_this_machine(tmp_path, encoder):
    from sentence_transformers import CrossEncoder, SentenceTransformer
    from transformers import AutoTokenizer

    out = train(tmp_path, encoder, epochs=1).out
    ids = AutoTokenizer.from_pretrained(out)("open the blinds")["input_ids"]
    assert SentenceTransformer(str(out), device="cpu").tokenizer("open the blinds")["input_ids"] == ids
    assert CrossEncoder(str(out), device="cpu").predict("open the blinds").shape == (3,)
    card = (out / "README.md").read_text()
    assert "text-classification" in card and "Classifier" in card and "vllm" not in card
    for path in out.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes() and str(encoder).encode() not in path.read_bytes()


def test_the_same_run_writes_the_same_bytes_and_another_seed_does_not(tmp_path, encoder):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(tmp_path / name, encoder, epochs=2, seed=seed)
    a, b, c = ({p.name: p.read_bytes() for p in (tmp_path / name / "out").iterdir()} for name in "abc")
    assert a == b
    assert a["model.safetensors"] != c["model.safetensors"]


def test_a_text_is_read_the_same_alone_and_padded(encoder):
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(encoder).eval()
    short, long = labelled([2, 5, 3], 1, None), labelled([2, 7, 8, 9, 5, 6, 3], 0, None)
    batch = collate([long, short], padding=0)
    assert batch["labels"].tolist() == [0, 1] and batch["attention_mask"].sum(1).tolist() == [7, 3]
    together = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    alone = model(input_ids=torch.tensor([[2, 5, 3]])).logits
    torch.testing.assert_close(together[1:], alone)


def test_the_student_learns_the_teachers_probabilities(tmp_path, encoder):
    # the teacher contradicts the labels, and finds one other class alike
    doubtful = {"light": 0.25, "heat": 0.75, "blind": 0.0}
    result = [row | {"probabilities": doubtful if row["label"] == "light" else None} for row in rows()]
    context = train(tmp_path, encoder, result, alpha=1.0, epochs=30)
    assert context.notes["alpha"] == 1.0
    (actual, other) = classify(context.out, ["turn on the light in the kitchen", "open the blinds in the kitchen"])
    assert actual["heat"] == pytest.approx(0.75, abs=0.06) and actual["light"] == pytest.approx(0.25, abs=0.06)
    assert other["blind"] > 0.9
    assert train(tmp_path / "given", encoder, result, epochs=1).notes["alpha"] == 0.5
    assert train(tmp_path / "refused", encoder, result, epochs=1, alpha=0.0).notes["alpha"] == 0.0


def test_the_loss_is_that_of_the_paper():
    logits = torch.tensor([[1.0, -0.5, 0.25]], requires_grad=True)
    teacher = torch.tensor([[0.7, 0.2, 0.1]])
    batch = {"labels": torch.tensor([2]), "teacher_logprobs": teacher.log()}

    def loss(alpha, temperature, logits, batch):
        return ClassObjective(alpha, temperature)(logits, batch).total()

    for alpha, temperature in ((0.3, 1.0), (0.5, 4.0)):
        soft = torch.softmax(teacher.log() / temperature, -1)
        kl = (soft * (soft.log() - torch.log_softmax(logits / temperature, -1))).sum()
        expected = alpha * temperature**2 * kl - (1 - alpha) * torch.log_softmax(logits, -1)[0, 2]
        torch.testing.assert_close(loss(alpha, temperature, logits, batch), expected[None])
        unlabelled = loss(alpha, temperature, logits, batch | {"labels": torch.tensor([UNLABELLED])})
        torch.testing.assert_close(unlabelled, (alpha * temperature**2 * kl)[None])
    # zero where both agree, and finite where the teacher rules a class out
    agreed = loss(1.0, 2.0, teacher.log(), {"labels": torch.tensor([0]), "teacher_logprobs": teacher.log()})
    assert agreed.item() == pytest.approx(0, abs=1e-6)
    sure = torch.tensor([[1.0, 0.0, 0.0]]).clamp(min=LEAST).log()
    assert loss(1.0, 1.0, logits, batch | {"teacher_logprobs": sure}).item() == pytest.approx(
        -torch.log_softmax(logits, -1)[0, 0].item(), abs=1e-5
    )


def test_a_head_for_the_same_classes_is_kept_and_another_is_new(tmp_path, encoder):
    first = train(tmp_path / "first", encoder).out
    again = train(tmp_path / "again", first, epochs=0.01, learning_rate=1e-9).notes["curve"][0]["loss"]
    renamed = [row | {"label": {"light": "lamp"}.get(row["label"], row["label"])} for row in rows()]
    other = train(tmp_path / "other", first, renamed, epochs=0.01, learning_rate=1e-9).notes["curve"][0]["loss"]
    assert again < 0.3 and other > 0.9


def test_a_causal_model_can_be_a_classifier_too(tmp_path):
    context = train(tmp_path / "run", tiny.causal_lm(tmp_path / "model"), epochs=10)
    assert context.notes["curve"][-1]["loss"] < 0.2
    assert (
        max(classify(context.out, ["open the blinds in the room"])[0].items(), key=lambda item: item[1])[0] == "blind"
    )


def test_classes_are_sorted_numbers_by_value():
    assert ordered([3, 10, None, 3]) == ["3", "10"]
    assert ordered(["b", "10", "9", ""]) == ["10", "9", "b"]


def test_the_usual_learning_rate_falls_with_size():
    assert [f"{default_learning_rate(size):.1e}" for size in (10**6, 22_700_000, 110_000_000)] == [
        "1.0e-03",
        "1.9e-04",
        "4.0e-05",
    ]


def test_rows_without_text_or_label_are_left_out_and_long_texts_are_cut(tmp_path, encoder):
    result = rows(9)
    result[0]["text"], result[1]["label"], result[2]["text"] = " ", None, "open the blinds " * 40
    context = train(tmp_path, encoder, result, epochs=1)
    assert context.ledger.counts()["filtered"] == {"no text": 1, "no label": 1}
    assert context.notes["cut_texts"] == 1 and context.ledger.counts()["kept"] == 7
    with pytest.raises(BadInput, match="no row to train on: 2 x no text"):
        train(tmp_path / "none", encoder, [row | {"text": ""} for row in rows(2)])


def test_bad_labels_and_probabilities_are_named(tmp_path, encoder):
    with pytest.raises(BadInput, match="names fewer than two classes: \\['light'\\]"):
        train(tmp_path / "1", encoder, rows(1))
    with pytest.raises(BadInput, match="has labels that are no classes: blind; add them to classes="):
        train(tmp_path / "2", encoder, classes=("light", "heat"))
    for given, message in (
        ([0.5, 0.5], "row 'r0': 2 probabilities for 3 classes"),
        ([0.5, 0.5, 0.5], "row 'r0': probabilities must be at least 0 and add up to 1"),
    ):
        with pytest.raises(BadInput, match=message):
            train(tmp_path / "3", encoder, [row | {"probabilities": given} for row in rows()])
    dark = [row | {"probabilities": {"dark": 1.0}} for row in rows()]
    with pytest.raises(
        BadInput, match="row 'r0': probabilities names dark, which are no classes: add them to classes="
    ):
        train(tmp_path / "4", encoder, dark, classes=("light", "heat", "blind"))
    assert [problem.field for problem in Classifier(None, student="x", classes=("a", "a")).check()] == ["classes"]
    assert Classifier(None, student="x", alpha=0.5).needs() == {"rows": ("text", "label", "probabilities")}


def test_a_class_that_no_row_is_labelled_with_is_one_where_the_teacher_gave_it_a_probability(tmp_path, encoder):
    shares = {"light": 0.4, "heat": 0.3, "blind": 0.2, "dark": 0.1}
    context = train(tmp_path, encoder, [row | {"probabilities": shares} for row in rows()], epochs=1)
    assert context.notes["classes"] == 4


def test_a_training_that_blows_up_says_so(tmp_path, encoder):
    with pytest.raises(PotstillError, match="lower the learning_rate"):
        train(tmp_path, encoder, learning_rate=1e30, clip=1e30, warmup=0)


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_weights(tmp_path, encoder):
    """Killed at step 7 of 12, with a checkpoint every 3, and after the last step; BERT's dropout goes on as it was."""
    path = os.pathsep.join([str(SCRIPT.parent), *sys.path])
    finished = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path), str(encoder)],
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    actual = json.loads(finished.stdout.splitlines()[-1])
    assert actual == {"undisturbed": 0, "in the middle": -9, "at the end": -9, "resumed": 0}, finished.stderr
    for path in (tmp_path / "undisturbed" / "out").iterdir():
        assert path.read_bytes() == (tmp_path / "killed" / "out" / path.name).read_bytes(), path.name
