"""Encoder-decoders as students: they learn, however a batch is split, from text and from a teacher's distributions."""

import json

import pytest
import torch

import learning
import tiny
import translating
from potstill.errors import BadInput
from potstill.trainers.language_models.hard_label import HardLabel
from potstill.trainers.language_models.seq2seq_batches import parts, reading
from potstill.trainers.language_models.soft_label import SoftLabel
from potstill.trainers.loop.examples import Example
from potstill.trainers.loop.lora import LoRA


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    return translating.model(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A larger T5 that has learned the translations."""
    return translating.learned(tmp_path_factory.mktemp("teacher"))


def train(folder, student, rows=None, **fields):
    """Train on text in `folder`; return the context."""
    context = learning.context(folder)
    step = HardLabel(None, student=str(student), **fields)
    step.run(learning.dataset(translating.rows() if rows is None else rows), str(student), context)
    return context


def distil(folder, student, teacher, rows=None, **fields):
    """Train on a live teacher's distributions in `folder`; return the context."""
    context = learning.context(folder)
    step = SoftLabel(None, student=str(student), teacher=str(teacher), **fields)
    step.run(learning.dataset(translating.rows() if rows is None else rows), str(student), str(teacher), context)
    return context


def curve(context, *names):
    return torch.tensor([[point[name] for name in names] for point in context.notes["curve"]])


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_overfits_eight_rows_and_the_saved_folder_translates_them(tmp_path, kind):
    start = translating.model(tmp_path / "start", kind, hidden=48)
    context = train(tmp_path, start, epochs=50, batch_size=8, learning_rate=1e-2)
    losses = curve(context, "loss")
    assert losses[0] > 3 and losses[-1] < 0.2
    rows = translating.rows()
    assert translating.translations(context.out, rows) == [row["output"] for row in rows]
    assert "AutoModelForSeq2SeqLM" in (context.out / "README.md").read_text()
    assert not (context.out / "chat_template.jinja").exists()


def test_the_split_of_a_batch_changes_nothing(tmp_path, student):
    rows = translating.rows()
    rows[1]["output"] = " ".join([rows[1]["output"]] * 4)
    rows[4]["instruction"] = " ".join([rows[4]["instruction"]] * 5)
    fields = {"epochs": 2, "batch_size": 8, "warmup": 0, "precision": "float32"}
    whole, split = (
        train(tmp_path / str(budget), student, rows, micro_batch_tokens=budget, **fields) for budget in (10**6, 60)
    )
    torch.testing.assert_close(curve(split, "loss", "grad_norm"), curve(whole, "loss", "grad_norm"), rtol=1e-4, atol=0)
    for name, tensor in learning.weights(split.out).items():
        torch.testing.assert_close(tensor, learning.weights(whole.out)[name], atol=2e-3, rtol=2e-2)


def test_the_loss_is_the_cross_entropy_that_transformers_computes_itself(tmp_path, student):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    context = train(tmp_path, student, translating.rows(1), epochs=1, batch_size=1, warmup=0)
    tokenizer = AutoTokenizer.from_pretrained(student)
    [row] = translating.rows(1)
    labels = tokenizer(text_target=row["output"], return_tensors="pt")["input_ids"]
    assert labels[0, -1] == tokenizer.eos_token_id
    model = AutoModelForSeq2SeqLM.from_pretrained(student, dtype=torch.float32).eval()
    with torch.no_grad():
        expected = model(**tokenizer(row["instruction"], return_tensors="pt"), labels=labels).loss
    assert context.notes["curve"][0]["loss"] == pytest.approx(float(expected), rel=1e-4)
    assert context.notes["target tokens"] == labels.numel()


def test_parts_hold_every_row_and_keep_the_budget_of_both_sides():
    lengths = [(3, 9), (8, 2), (5, 5), (1, 1), (7, 6)]
    rows = [Example(list(range(10 * n, 10 * n + a + b)), a) for n, (a, b) in enumerate(lengths, 1)]
    split = parts(rows, 26, start=7, padding=0)
    assert sum(len(part["input_ids"]) for part in split) == 5
    for part in split:
        size = part["input_ids"].numel() + part["decoder_input_ids"].numel()
        assert size <= 26 or len(part["input_ids"]) == 1
        assert (part["decoder_input_ids"][:, 0] == 7).all()
        assert part["select"].sum() == len(part["labels"])
    assert len(parts(rows, 1, start=7, padding=0)) == 5
    [whole] = parts(rows[:2], 10**6, start=7, padding=0)
    assert whole["input_ids"].tolist() == [[10, 11, 12, 0, 0, 0, 0, 0], [20, 21, 22, 23, 24, 25, 26, 27]]
    assert whole["attention_mask"].sum(1).tolist() == [3, 8]
    assert whole["decoder_input_ids"].tolist() == [[7, *range(13, 21)], [7, 28, 0, 0, 0, 0, 0, 0, 0]]
    assert whole["labels"].tolist() == [*range(13, 22), 28, 29]


@pytest.mark.parametrize("kind", ["t5", "bart", "marian"])
def test_padding_has_no_influence(tmp_path, kind):
    from transformers import AutoModelForSeq2SeqLM

    model = AutoModelForSeq2SeqLM.from_pretrained(translating.model(tmp_path, kind), dtype=torch.float32).eval()
    rows = [Example(list(range(10, 15)), 3), Example(list(range(20, 42)), 9), Example(list(range(50, 58)), 7)]
    read = reading(model.config)
    [together] = read.parts(rows, 10**6)
    ordered = sorted(rows, key=lambda row: len(row.ids), reverse=True)
    alone = torch.cat([read.logits(model, read.parts([row], 10**6)[0]) for row in ordered])
    torch.testing.assert_close(read.logits(model, together), alone, atol=2e-5, rtol=1e-4)


def test_a_live_teachers_distributions_draw_the_student_near(tmp_path, student, teacher):
    context = distil(tmp_path, student, teacher, alpha=1.0, epochs=35, batch_size=8, learning_rate=1e-2)
    losses = curve(context, "loss")
    assert losses[-1] < 0.2 * losses[0]
    assert context.notes["soft_labels"] == "live"


def test_the_word_level_loss_mixes_the_divergence_of_both_models_with_the_text(tmp_path, student, teacher):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    [row] = translating.rows(1)
    tokenizer = AutoTokenizer.from_pretrained(student)
    batch = tokenizer(row["instruction"], text_target=row["output"], return_tensors="pt")
    logprobs = []
    for folder in (student, teacher):
        model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
        with torch.no_grad():
            logprobs.append(model(**batch).logits[0].log_softmax(-1))
    ours, theirs = logprobs
    divergence = float((theirs.exp() * (theirs - ours)).sum(-1).mean())
    text = float(-ours.gather(-1, batch["labels"][0][:, None]).mean())
    context = distil(tmp_path, student, teacher, [row], alpha=0.3, epochs=1, batch_size=1, warmup=0)
    assert context.notes["curve"][0]["loss"] == pytest.approx(0.3 * divergence + 0.7 * text, rel=1e-3)


def test_a_resumed_training_ends_with_the_same_weights_dropout_included(tmp_path, student):
    settings = json.loads((student / "config.json").read_text())
    dropping = tmp_path / "dropping"
    dropping.mkdir()
    for path in student.iterdir():
        (dropping / path.name).write_bytes(path.read_bytes())
    (dropping / "config.json").write_text(json.dumps(settings | {"dropout_rate": 0.3}))
    fields = {"epochs": 3, "batch_size": 4, "checkpoint_every": 2}
    whole = train(tmp_path / "whole", dropping, **fields)

    def stop(done, total=None, **_):
        if done == 5:
            raise KeyboardInterrupt

    step = HardLabel(None, student=str(dropping), **fields)
    with pytest.raises(KeyboardInterrupt):
        context = learning.context(tmp_path / "cut", progress=stop)
        step.run(learning.dataset(translating.rows()), str(dropping), context)
    resumed = train(tmp_path / "cut", dropping, **fields)
    ours, theirs = learning.weights(resumed.out), learning.weights(whole.out)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_adapters_learn_and_are_merged(tmp_path, student):
    before = learning.weights(student)
    context = train(tmp_path, student, epochs=2, batch_size=8, lora=LoRA(rank=4))
    after = learning.weights(context.out)
    assert before.keys() == after.keys()
    assert not torch.equal(
        before["encoder.block.0.layer.0.SelfAttention.q.weight"].bfloat16(),
        after["encoder.block.0.layer.0.SelfAttention.q.weight"],
    )
    assert len(translating.translations(context.out, translating.rows(1))) == 1


def test_rows_that_are_too_long_for_either_side_are_left_out(tmp_path):
    bart = translating.model(tmp_path / "bart", "bart")
    rows = translating.rows(3)
    rows[0]["instruction"] = "x" * 100
    rows[1]["output"] = "y" * 100
    context = train(tmp_path, bart, rows, epochs=1)
    assert context.ledger.counts()["kept"] == 1
    assert "longer than 64 tokens" in (tmp_path / "lost.jsonl").read_text()


def test_a_teacher_of_another_kind_is_refused_with_the_remedy(tmp_path, student):
    causal = tiny.causal_lm(tmp_path / "causal", vocab_size=320)
    with pytest.raises(BadInput, match=r"teacher is a causal model and the student an encoder-decoder.*SequenceLevel"):
        distil(tmp_path / "run", student, causal)
    later = translating.model(tmp_path / "bart", "bart")
    with pytest.raises(BadInput, match="decoder starts with token 2, the student's with 0"):
        distil(tmp_path / "start", student, later)


def test_stored_soft_labels_are_refused_with_the_remedy(student):
    from potstill.trainers.language_models.architecture import check_alike

    with pytest.raises(BadInput, match="leave the teacher_\\* columns out and give teacher="):
        check_alike(student, None, "top")


def test_a_config_without_the_decoders_first_token_is_refused_by_name():
    from transformers import T5Config

    with pytest.raises(BadInput, match="names no decoder_start_token_id"):
        reading(T5Config(decoder_start_token_id=None))
