"""SoftLabel by the divergence asked for: what it learns, in what parts, and which divergences it refuses."""

import json
import shutil

import pytest
import torch

import learning
from potstill.errors import BadInput
from potstill.trainers import SoftLabel
from potstill.trainers.language_models.divergence import Divergence
from potstill.trainers.language_models.soft_objective import SoftObjective, live
from potstill.trainers.losses import cross_entropy, skew_kl, topk_tail_divergence


def train(folder, student, rows, teacher=None, **fields):
    """Train in `folder`; return its context."""
    context = learning.context(folder)
    step = SoftLabel(None, student=str(student), teacher=teacher, **fields)
    step.run(learning.dataset(rows), str(student), teacher, context)
    return context


def curve(context):
    """Return loss and gradient norm of each step."""
    return torch.tensor([(point["loss"], point["grad_norm"]) for point in context.notes["curve"]])


def test_the_number_of_tokens_at_once_changes_nothing(tmp_path, student, teacher):
    rows = learning.rows(4)
    fields = {"divergence": "jensen_shannon", "temperature": 2.0, "epochs": 2, "batch_size": 2, "warmup": 0}
    fields["precision"] = "float32"
    whole, parts = (
        curve(train(tmp_path / str(chunk), student, rows, str(teacher), chunk_tokens=chunk, **fields))
        for chunk in (10**6, 7)
    )
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-6)
    assert "chunk_tokens" in SoftLabel.unkeyed


def test_the_card_and_the_figures_tell_of_the_divergence(tmp_path, student, teacher):
    context = train(
        tmp_path, student, learning.rows(4), str(teacher), divergence="skew_kl", skew=0.2, epochs=1, batch_size=4
    )
    card = (context.out / "README.md").read_text().replace("\\", "")
    assert "skew_kl" in card and "0.2" in card and "beta" not in card
    [point] = context.notes["curve"]
    assert point["loss"] == pytest.approx(point["soft"] + point["hard"], rel=1e-4)
    assert point["soft"] == pytest.approx(0.5 * point["divergence"], rel=1e-4)
    assert 0 <= point["agreement"] <= 1


def test_the_objective_is_the_weighted_sum_of_its_parts():
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (torch.randn(6, 11, generator=generator) for _ in range(2))
    # an output layer that was padded: cut, before it is normalized
    wide = torch.cat([theirs, torch.full((6, 3), 9.0)], dim=-1)
    batch = {"labels": torch.arange(6)}
    objective = SoftObjective(0.3, 2.0, Divergence("skew_kl", skew=0.2), lambda batch: wide, 256)
    result = objective(ours, batch)
    torch.testing.assert_close(result.parts["soft"], 0.3 * 4 * skew_kl(ours, theirs, 2.0, 0.2))
    torch.testing.assert_close(result.parts["hard"], 0.7 * cross_entropy(ours, batch["labels"]))
    torch.testing.assert_close(result.metrics["agreement"], (ours.argmax(-1) == theirs.argmax(-1)).float())

    kept = theirs.log_softmax(-1).topk(4)
    batch |= {"teacher_ids": kept.indices.flip(-1), "teacher_logprobs": kept.values.flip(-1)}
    result = SoftObjective(1.0, 1.0, Divergence(), None, 256)(ours, batch)
    torch.testing.assert_close(result.total(), topk_tail_divergence(ours, kept.indices, kept.values))
    assert torch.equal(result.metrics["agreement"], (ours.argmax(-1) == theirs.argmax(-1)).float())


def test_stored_top_k_takes_forward_kl_only(tmp_path, student, teacher):
    rows = learning.with_soft_labels(learning.rows(2), teacher, 4)
    with pytest.raises(BadInput, match=r"divergence is reverse_kl, but .* PseudoLabel\(top_k=0\).* teacher=.*hidden"):
        train(tmp_path, student, rows, str(teacher), divergence="reverse_kl")
    [problem] = SoftLabel(None, student=str(student), divergence="total_variation").check()
    assert problem.field == "divergence" and 'SoftLabels(mode="hidden")' in problem.message
    [problem] = SoftLabel(None, student=str(student), teacher=str(teacher), beta=0.2).check()
    assert problem.field == "beta"


def test_a_teacher_reads_without_dropout_and_without_gradients(tmp_path, teacher):
    from potstill.trainers.language_models.architecture import architecture_of
    from potstill.trainers.loop.examples import Example, micro_batches

    noisy = shutil.copytree(teacher, tmp_path / "noisy")
    config = json.loads((noisy / "config.json").read_text())
    (noisy / "config.json").write_text(json.dumps(config | {"attention_dropout": 0.5}))
    says = live(str(noisy), architecture_of(noisy).reading_of(noisy))
    [batch] = micro_batches([Example(range(5, 25), 3)], 10**6)
    first, second = says(batch), says(batch)
    assert torch.equal(first.states, second.states)
    assert not first.weight.requires_grad
    generator = torch.Generator().manual_seed(0)
    ours = torch.randn(17, first.size, generator=generator, requires_grad=True)
    SoftObjective(1.0, 1.0, Divergence(), says, 256)(ours, batch).total().sum().backward()
    assert ours.grad.isfinite().all() and first.weight.grad is None


def test_a_padding_token_that_is_the_end_of_turn_changes_nothing(tmp_path, student, teacher):
    same = shutil.copytree(student, tmp_path / "same")
    settings = json.loads((same / "tokenizer_config.json").read_text())
    (same / "tokenizer_config.json").write_text(json.dumps(settings | {"pad_token": settings["eos_token"]}))
    fields = {"epochs": 1, "batch_size": 4, "warmup": 0}
    runs = [
        train(tmp_path / f"run{n}", each, learning.rows(4), str(teacher), **fields)
        for n, each in enumerate((student, same))
    ]
    assert torch.equal(*map(curve, runs))
