"""Training on a teacher's distributions, stored and live."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

import learning
import tiny
from potstill.errors import BadInput
from potstill.teachers.cache.soft_labels import Sidecar, hidden_columns, pack_ids, unpack_ids
from potstill.trainers import SoftLabel
from potstill.trainers.language_models import vocabulary_check


def train(folder, student, rows, teacher=None, **fields):
    """Train in `folder`; return its context."""
    context = learning.context(folder)
    step = SoftLabel(None, student=str(student), teacher=teacher, **fields)
    step.run(learning.dataset(rows), str(student), teacher, context)
    return context


def curve(context):
    """Return loss and gradient norm of each step."""
    return torch.tensor([(point["loss"], point["grad_norm"]) for point in context.notes["curve"]])


def test_overfits_the_teachers_distributions_alone(tmp_path, student, learned):
    rows = learning.with_soft_labels(learning.rows(), learned, 8)
    context = train(tmp_path, student, rows, alpha=1.0, epochs=60, batch_size=8, learning_rate=5e-3)
    losses = curve(context)[:, 0]
    assert losses[0] > 4 and losses[-1] < 0.05
    result = learning.rows()
    theirs, ours = (learning.answers(folder, result) for folder in (learned, context.out))
    assert sum(a == b for a, b in zip(theirs, ours, strict=True)) >= 15
    assert context.notes["soft_labels"] == "stored"


def test_the_targets_are_the_teachers_tokens_not_its_text(tmp_path, student, teacher):
    rows = learning.with_soft_labels(learning.rows(4), teacher, 4)
    plain = curve(train(tmp_path / "a", student, rows, epochs=1))
    other = [row | {"output": "something else altogether"} for row in rows]
    assert torch.equal(plain, curve(train(tmp_path / "b", student, other, epochs=1)))


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_stored_whole_vocabulary_equals_the_live_teacher(tmp_path, student, teacher, alpha):
    rows = learning.rows(8)
    size = len(vocabulary_check.vocabulary_of(teacher))
    fields = {"alpha": alpha, "epochs": 2, "batch_size": 4, "warmup": 0, "learning_rate": 1e-3}
    stored = train(tmp_path / "stored", student, learning.with_soft_labels(rows, teacher, size), **fields)
    live = train(tmp_path / "live", student, rows, str(teacher), **fields)
    assert live.notes["soft_labels"] == "live"
    torch.testing.assert_close(
        curve(stored),
        curve(live),
        rtol=2e-2 if live.notes["precision"] == "bfloat16" else 1e-4,
        atol=1e-3,  # half floats
    )
    ours, theirs, before = (
        torch.cat([values.float().flatten() for _, values in sorted(learning.weights(folder).items())])
        for folder in (stored.out, live.out, student)
    )
    assert (ours - theirs).norm() < 0.05 * (theirs - before).norm()


def test_alpha_zero_is_the_hard_loss_and_temperature_multiplies_its_square(tmp_path, student, teacher):
    from potstill.trainers import HardLabel
    from potstill.trainers.language_models.divergence import Divergence
    from potstill.trainers.language_models.soft_objective import SoftObjective
    from potstill.trainers.losses import forward_kl

    rows = learning.rows(4)
    soft = curve(train(tmp_path / "soft", student, rows, str(teacher), alpha=0.0, epochs=1))
    context = learning.context(tmp_path / "hard")
    HardLabel(None, student=str(student), epochs=1).run(learning.dataset(rows), str(student), context)
    torch.testing.assert_close(soft, curve(context))

    generator = torch.Generator().manual_seed(0)
    ours, theirs = (torch.randn(6, 11, generator=generator) for _ in range(2))
    loss = SoftObjective(1.0, 3.0, Divergence(), lambda batch: theirs, 256)(ours, {"labels": torch.zeros(6).long()})
    torch.testing.assert_close(loss.total(), 9 * forward_kl(ours, theirs, 3.0))


def test_the_split_of_a_batch_changes_nothing(tmp_path, student, teacher):
    rows = learning.rows(8)
    rows[0]["output"] = rows[0]["output"] * 4
    rows = learning.with_soft_labels(rows, teacher, 8)
    fields = {"epochs": 2, "batch_size": 8, "learning_rate": 1e-3, "warmup": 0, "precision": "float32"}
    whole, parts, single = (
        curve(train(tmp_path / str(budget), student, rows, micro_batch_tokens=budget, **fields))
        for budget in (10**6, 300, 1)
    )
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=0)
    torch.testing.assert_close(single, whole, rtol=1e-4, atol=0)


def test_a_live_teacher_softened_trains_too(tmp_path, student, learned):
    context = train(
        tmp_path, student, learning.rows(), str(learned), temperature=2.0, epochs=30, batch_size=8, learning_rate=5e-3
    )
    losses = curve(context)[:, 0]
    assert losses[-1] < 0.2 * losses[0]


def test_output_layers_of_different_padding_are_compared_over_the_vocabulary(tmp_path, student, teacher):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    wide = tmp_path / "wide"
    model = AutoModelForCausalLM.from_pretrained(teacher)
    model.resize_token_embeddings(model.config.vocab_size + 10)
    model.lm_head.weight.data[-10:] = 5.0
    model.save_pretrained(wide)
    AutoTokenizer.from_pretrained(teacher).save_pretrained(wide)
    narrow = curve(train(tmp_path / "a", student, learning.rows(4), str(teacher), epochs=1))
    torch.testing.assert_close(curve(train(tmp_path / "b", student, learning.rows(4), str(wide), epochs=1)), narrow)


def test_stored_soft_labels_with_a_temperature_are_refused_with_the_reason(tmp_path, student, teacher):
    rows = learning.with_soft_labels(learning.rows(4), teacher, 4)
    with pytest.raises(BadInput, match=r"temperature 1 only, because .* normalizer .* PseudoLabel\(top_k=0\)"):
        train(tmp_path, student, rows, str(teacher), temperature=2.0)
    [problem] = SoftLabel(None, student=str(student), temperature=2.0).check()
    assert problem.field == "temperature" and "normalizer" in problem.message


def test_no_soft_labels_and_no_teacher_names_both_remedies(tmp_path, student):
    with pytest.raises(BadInput, match=r"PseudoLabel\(top_k=32\), or give teacher="):
        train(tmp_path, student, learning.rows(4))
    assert "teacher_top_ids" in SoftLabel(None, student="x").needs()["rows"]
    assert list(SoftLabel(None, student="x", teacher="y").needs()["rows"]) == ["output"]


def test_a_live_teachers_own_system_prompt_is_refused(tmp_path, student, teacher):
    from potstill import VLLM

    with pytest.raises(BadInput, match="system prompt of its own"):
        train(tmp_path, student, learning.rows(4), VLLM(str(teacher), system="Be brief."))


def test_another_vocabulary_is_refused_before_and_while_running(tmp_path, student):
    other = tiny.causal_lm(tmp_path / "other", vocab_size=300)
    step = SoftLabel(None, student=str(student), teacher=str(other))
    [problem] = step.check()
    sizes = [len(vocabulary_check.vocabulary_of(folder)) for folder in (student, other)]
    names = f"({student.name}: {sizes[0]} tokens)", f"(other: {sizes[1]} tokens;", "student: '"
    for text in (*names, "HardLabel(rows, student=...)", "SequenceLevel(rows, teacher=..., student=...)"):
        assert text in problem.message
    with pytest.raises(BadInput, match="HardLabel"):
        train(tmp_path / "run", student, learning.rows(2), str(other))


def test_equal_sizes_are_not_equal_vocabularies(tmp_path, student):
    swapped = shutil.copytree(student, tmp_path / "swapped")
    content = json.loads((swapped / "tokenizer.json").read_text())
    words = content["model"]["vocab"]
    words["a"], words["b"] = words["b"], words["a"]
    (swapped / "tokenizer.json").write_text(json.dumps(content))
    [problem] = SoftLabel(None, student=str(student), teacher=str(swapped)).check()
    assert "'a'" in problem.message or "'b'" in problem.message
    assert not list(SoftLabel(None, student=str(student), teacher=str(student)).check())


def test_soft_labels_of_a_larger_vocabulary_or_of_wrong_shape_are_refused(tmp_path, student, teacher):
    good = learning.with_soft_labels(learning.rows(1), teacher, 4)[0]
    large = good | {"teacher_token_ids": pack_ids(np.array([9999, *unpack_ids(good["teacher_token_ids"])[1:]]))}
    with pytest.raises(BadInput, match=r"row '0': its soft labels hold token 9999"):
        train(tmp_path / "a", student, [large])
    short = good | {"teacher_token_ids": pack_ids(unpack_ids(good["teacher_token_ids"])[1:])}
    with pytest.raises(BadInput, match="which must be T, T, 4 T and 4 T"):
        train(tmp_path / "b", student, [short])
    with pytest.raises(BadInput, match="can't be unpacked"):
        train(tmp_path / "c", student, [good | {"teacher_top_logprobs": b"odd"}])


def altered(rows, **changes):
    """Return rows whose sidecar says something else."""
    return [
        row | {"teacher_sidecar": replace(Sidecar.parse(row["teacher_sidecar"], "row"), **changes).text} for row in rows
    ]


def test_a_wrong_sidecar_is_refused_by_name(tmp_path, student, teacher):
    rows = learning.with_soft_labels(learning.rows(2), teacher, 4)
    for number, (changes, message) in enumerate(
        [
            ({"tokenizer": "0123456789abcdef"}, r"row '0': its soft labels were made with another tokenizer \(0123"),
            ({"template": "0123456789abcdef"}, "with another chat template .* give the student the teacher's"),
            ({"tokenizer": ""}, "don't say which tokenizer"),
        ]
    ):
        with pytest.raises(BadInput, match=message):
            train(tmp_path / str(number), student, altered(rows, **changes))
    with pytest.raises(BadInput, match="no readable teacher_sidecar"):
        train(tmp_path / "none", student, [rows[0] | {"teacher_sidecar": "{}"}])
    with pytest.raises(BadInput, match="are of another teacher"):
        train(tmp_path / "other", student, rows, str(student))
    with pytest.raises(BadInput, match=r"row '1': .* hold k=3 .* earlier rows k=4"):
        train(tmp_path / "mixed", student, [rows[0], *learning.with_soft_labels(learning.rows(2), teacher, 3)[1:]])


def test_a_student_with_another_chat_template_is_refused(tmp_path, student, teacher):
    other = shutil.copytree(student, tmp_path / "other")
    template = other / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    with pytest.raises(BadInput, match="another chat template"):
        train(tmp_path / "run", other, learning.with_soft_labels(learning.rows(1), teacher, 4))


def test_another_prompt_is_only_warned_of(tmp_path, student, teacher):
    rows = learning.with_soft_labels(learning.rows(2), teacher, 4)
    context = train(tmp_path, student, rows, epochs=1, prompt="Do this: {{ instruction }}")
    assert "another prompt template" in context.notes["warnings"][0]


def test_soft_labels_stay_with_their_rows_when_rows_are_shuffled_and_split(tmp_path, student, teacher):
    rows = learning.with_soft_labels(learning.rows(12), teacher, 8)
    fields = {"epochs": 1, "batch_size": 12, "warmup": 0, "micro_batch_tokens": 10**6}
    plain = curve(train(tmp_path / "a", student, rows, **fields))
    shuffled = learning.dataset(rows).shuffle(seed=3).filter(lambda row: True).to_list()
    assert [row["id"] for row in shuffled] != [row["id"] for row in rows]
    torch.testing.assert_close(curve(train(tmp_path / "b", student, shuffled, **fields)), plain, rtol=1e-4, atol=0)
    swapped = [
        row | {"teacher_top_logprobs": other["teacher_top_logprobs"]}
        for row, other in zip(rows, altered(learning.with_soft_labels(learning.rows(12), student, 8)), strict=True)
    ]
    assert not torch.allclose(curve(train(tmp_path / "c", student, swapped, **fields)), plain, rtol=1e-3)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_stored_hidden_states_equal_the_live_teacher_at_any_temperature(tmp_path, student, teacher, temperature):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from potstill.models import hidden_states
    from potstill.models.chat import encode
    from potstill.prompts import render

    tokenizer, model = AutoTokenizer.from_pretrained(teacher), AutoModelForCausalLM.from_pretrained(teacher).float()
    result, plain = [], learning.rows(8)
    for row in plain:
        ids, prompt = encode(tokenizer, render("answer.jinja", row), row["output"])
        states, logits = hidden_states.capture(model.eval(), ids, prompt)
        bits = hidden_states.bits_of(states, "float16")
        hidden_states.check_rebuilt(hidden_states.Head.of(model, "float16"), bits, logits)
        own = logits.log_softmax(-1)[range(len(logits)), ids[prompt:]].numpy()
        sidecar = learning.sidecar(teacher, 0, "hidden", "float16")
        result.append(row | hidden_columns(np.array(ids[prompt:]), own, bits.numpy(), sidecar))
    fields = {"alpha": 1.0, "temperature": temperature, "epochs": 2, "batch_size": 4, "warmup": 0}
    stored = train(tmp_path / "stored", student, result, str(teacher), **fields)
    live = train(tmp_path / "live", student, plain, str(teacher), **fields)
    assert stored.notes["soft_labels"] == "hidden states"
    torch.testing.assert_close(
        curve(stored), curve(live), rtol=2e-2 if live.notes["precision"] == "bfloat16" else 1e-3, atol=0
    )
    with pytest.raises(BadInput, match="only its output layer"):
        train(tmp_path / "none", student, result, **{**fields, "temperature": 1.0})


def test_a_resumed_training_reads_the_same_soft_labels_at_the_same_steps(tmp_path, student, teacher):
    rows = learning.with_soft_labels(learning.rows(8), teacher, 4)
    fields = {"epochs": 4, "batch_size": 4, "checkpoint_every": 2}
    whole = train(tmp_path / "whole", student, rows, **fields)

    def stop(done, total=None, **_):
        if done == 5:
            raise KeyboardInterrupt

    step = SoftLabel(None, student=str(student), **fields)
    with pytest.raises(KeyboardInterrupt):
        step.run(learning.dataset(rows), str(student), None, learning.context(tmp_path / "cut", progress=stop))
    assert list((tmp_path / "cut" / "work" / "checkpoints").glob("checkpoint-*"))
    resumed = train(tmp_path / "cut", student, rows, **fields)
    ours, theirs = learning.weights(resumed.out), learning.weights(whole.out)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
