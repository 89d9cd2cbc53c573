"""Several processes train one student as one would: on a CPU, over gloo."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch

import learning
from potstill.errors import BadInput, PotstillError
from potstill.models import encoder_decoder
from potstill.models.loading import without_weights
from potstill.trainers import HardLabel, LoRA, OnPolicy, QLoRA, SoftLabel
from potstill.trainers.loop import student_model as students
from potstill.trainers.loop.process_group import BUCKET, _buckets

pytestmark = pytest.mark.slow
FIELDS = {"epochs": 3, "batch_size": 4, "learning_rate": 1e-3, "warmup": 0, "checkpoint_every": 3}
FIELDS |= {"precision": "float32"}  # of bfloat16 a batch that is split otherwise shows the rounding


def train(folder, student, progress=None, **fields):
    """Train in `folder` with some rows to evaluate on; return its context."""
    context = learning.context(folder, progress=progress)
    rows = learning.rows(9)  # the last batch of a pass has one row: a process gets none of it
    rows[0]["output"] *= 4  # a mean of means would weigh its tokens differently
    step = HardLabel(None, student=str(student), **{**FIELDS, **fields})
    step.run(learning.dataset(rows), str(student), context, validation=learning.dataset(learning.rows(5)))
    return context


def curve(context, *names):
    entries = context.notes["curve"] + context.notes["evaluations"]
    return torch.tensor([entry[name] for entry in entries for name in names if name in entry])


def cmdline(process):
    return Path(f"/proc/{process}/cmdline").read_bytes()


@pytest.fixture(scope="module")
def alone(tmp_path_factory, student):
    return train(tmp_path_factory.mktemp("alone"), student)


@pytest.mark.parametrize("sharding", [False, True], ids=["data", "sharded"])
def test_two_processes_have_the_loss_and_gradient_of_one(tmp_path, student, alone, sharding):
    """In parts of other sizes, too."""
    together = train(tmp_path / "whole", student, processes=2, micro_batch_tokens=200, sharding=sharding)
    names = ("loss", "grad_norm", "validation_loss", "learning_rate")
    assert curve(together, *names) == pytest.approx(curve(alone, *names), rel=1e-4)
    assert together.notes["processes"] == 2 and together.notes["target tokens"] == alone.notes["target tokens"]
    assert not (together.work / "processes").exists()
    assert together.ledger.counts()["kept"] == 9
    # weights of almost no gradient step as far, in either direction
    ours, theirs = learning.weights(together.out), learning.weights(alone.out)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        torch.testing.assert_close(ours[name], theirs[name], atol=2e-3, rtol=2e-2)


@pytest.mark.parametrize(
    "fields",
    # every process has units of its own to drop
    [{"lora": LoRA(rank=4, dropout=0.2)}, {"sharding": True, "patience": 1, "evaluate_every": 2}],
    ids=["adapters", "sharded"],
)
def test_two_processes_that_are_cut_go_on_to_the_same_weights(tmp_path, student, fields):
    def stop(done, total=None, **_):
        if done == 5:
            raise KeyboardInterrupt

    whole = train(tmp_path / "whole", student, processes=2, **fields)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", student, progress=stop, processes=2, **fields)
    assert (tmp_path / "cut" / "work" / "checkpoints" / "checkpoint-3").exists()
    resumed = train(tmp_path / "cut", student, processes=2, **fields)
    ours, theirs = learning.weights(resumed.out), learning.weights(whole.out)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_process_that_dies_ends_the_training_with_its_reason(tmp_path, student):
    def kill(done, total=None, **_):
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        [worker] = [child for child in children if b"potstill.trainers.loop.worker" in cmdline(child)]
        os.kill(int(worker), signal.SIGKILL)
        time.sleep(0.2)

    with pytest.raises(PotstillError, match=r"process 1 of 2 died: SIGKILL \(out of memory\?"):
        train(tmp_path, student, progress=kill, processes=2)


def test_an_error_of_process_0_is_not_taken_for_that_of_the_others(tmp_path, student):
    def fail(done, total=None, **_):
        raise ValueError("the first process is to blame")

    with pytest.raises(ValueError, match="the first process is to blame"):
        train(tmp_path, student, progress=fail, processes=2)


def test_what_is_wrong_in_both_processes_is_said_once(tmp_path, student):
    step = HardLabel(None, student=str(student), processes=2)
    with pytest.raises(BadInput, match="no row to train on: 2 x no output"):
        rows = [row | {"output": ""} for row in learning.rows(2)]
        step.run(learning.dataset(rows), str(student), learning.context(tmp_path))


def test_gradients_are_sent_in_buckets_of_one_type():
    sizes = [BUCKET - 1, 1, 1]
    actual = list(_buckets([torch.empty(size, device="meta") for size in sizes]))
    assert [[each.numel() for each in bucket] for bucket in actual] == [[BUCKET - 1, 1], [1]]
    mixed = [torch.zeros(1), torch.zeros(1, dtype=torch.bfloat16), torch.zeros(2)]
    assert [len(bucket) for bucket in _buckets(mixed)] == [1, 1, 1]


def soft_curve(folder, student, teacher, **fields):
    context = learning.context(folder)
    step = SoftLabel(None, student=str(student), teacher=str(teacher), alpha=0.7, **{**FIELDS, **fields})
    step.run(learning.dataset(learning.rows(9)), str(student), teacher=str(teacher), context=context)
    return torch.tensor([entry["loss"] for entry in context.notes["curve"] if "loss" in entry])


@pytest.mark.parametrize("sharding", [False, True], ids=["whole", "split"])
def test_a_live_teacher_in_two_processes_gives_the_loss_of_one(tmp_path, student, teacher, sharding):
    """Also where it is split beside the student. The learning rate is 0: of the loss alone, not of what follows."""
    fields = {"learning_rate": 1e-12, "weight_decay": 0.0}
    alone = soft_curve(tmp_path / "one", student, teacher, **fields)
    together = soft_curve(tmp_path / "two", student, teacher, processes=2, sharding=sharding, **fields)
    assert together == pytest.approx(alone, rel=1e-6)


@pytest.mark.parametrize(
    "fields",
    [{"qlora": QLoRA(rank=4)}, {"hold_zeros": True}, {"sharding": True, "lora": LoRA(rank=4)}],
    ids=["4 bits", "held zeros", "split with adapters"],
)
def test_other_ways_of_training_have_the_loss_of_one_process(tmp_path, student, fields):
    alone = train(tmp_path / "one", student, **{**fields, "sharding": False})
    together = train(tmp_path / "two", student, processes=2, **fields)
    assert curve(together, "loss", "grad_norm") == pytest.approx(curve(alone, "loss", "grad_norm"), rel=1e-3)


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (HardLabel(None, student="s", processes=2, sharding=True, hold_zeros=True), "does not split held zeros"),
        (HardLabel(None, student="s", processes=2, sharding=True, qlora=True), "does not split 4-bit weights"),
        (OnPolicy(None, student="s", teacher="t", processes=2, sharding=True), "needs it whole to write"),
        (HardLabel(None, student="s", sharding=True), "raise processes"),
    ],
    ids=["held zeros", "4 bits", "own texts", "one process"],
)
def test_what_can_not_be_split_is_refused_before_anything_runs(step, reason):
    (problem,) = [problem for problem in step.check() if problem.field == "sharding"]
    assert reason in problem.message


def test_all_but_process_0_build_the_student_without_weights(student):
    """With the buffers and ties that it has when it is loaded."""
    kind = encoder_decoder.model_class(student)
    empty, whole = without_weights(kind, student, torch.float32), students.load_model(student, torch.float32)
    weights = dict(whole.named_parameters())
    assert all(parameter.is_meta for parameter in empty.parameters())
    assert {name: (each.shape, each.dtype) for name, each in empty.named_parameters()} == {
        name: (each.shape, each.dtype) for name, each in weights.items()
    }
    ours, theirs = dict(empty.named_buffers()), dict(whole.named_buffers())
    assert ours.keys() == theirs.keys()
    assert ours
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
