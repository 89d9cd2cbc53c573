"""Meta pseudo-labels: the teacher's gradient is the exact one, the student learns, and a killed run ends the same."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

import learning
import tiny
from potstill.errors import BadInput, PotstillError
from potstill.trainers.encoders.meta_loop import Learner, MetaLoop, Plan
from potstill.trainers.encoders.meta_pseudo_labels import MetaPseudoLabels
from potstill.trainers.loop.schedule import Reading, Schedule
from potstill.trainers.losses.meta_feedback import MOMENTUM, Baseline, draw, feedback

RATE = 1e-4
WORDS = {"light": "turn on the light in the", "heat": "set the heating in the", "blind": "open the blinds in the"}
FIELDS = {"epochs": 3, "finetune_epochs": 2, "batch_size": 6, "learning_rate": 5e-3}


class Toy(torch.nn.Module):
    """A linear softmax classifier [D, C], without anything drawn."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = torch.nn.Parameter(torch.randn(4, 3, generator=generator, dtype=torch.float64))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features @ self.weight


def learner(model: Toy, rate: float) -> Learner:
    """Return a learner that takes plain steps of gradient descent."""
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    return Learner(model, optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0), clip=1e9)


def part(seed: int, labels: list[int]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(len(labels), 4, generator=generator, dtype=torch.float64)
    return {"input_ids": features, "labels": torch.tensor(labels)}


def plan(weight: float) -> Plan:
    schedule = Schedule(
        epochs=1,
        batch_size=2,
        learning_rate=RATE,
        decay="linear",
        warmup=0,
        weight_decay=0,
        clip=1e9,
        seed=0,
        budget=100,
        checkpoint_every=1,
        bf16=False,
    )
    return Plan(schedule, teacher_rate=1.0, unlabelled=2, alpha=1.0, temperature=1.0, weight=weight)


def teachers_gradient(labels: tuple[int, ...], weight: float) -> torch.Tensor:
    """Return the gradient that the teacher's weights follow in one step of the loop, if it drew these labels."""
    student, teacher = learner(Toy(1), RATE), learner(Toy(2), 1.0)
    before = teacher.model.weight.detach().clone()
    reading = Reading(Any, lambda model, given: model(given["input_ids"]))
    loop = MetaLoop(
        student,
        teacher,
        Any,
        Any,
        reading,
        plan(weight),
        Any,
        baseline=Baseline(0.0),
        sample=lambda logits, temperature: torch.tensor(labels),
    )
    loop.step([part(3, [0, 2, 1])], [part(4, [0, 0])])
    return before - teacher.model.weight.detach()


def exact_gradient() -> torch.Tensor:
    """Return the gradient of the student's labelled loss after one step on the teacher's distribution, by autograd
    through that step."""
    student, teacher = Toy(1), Toy(2)
    unlabelled, labelled = part(4, [0, 0]), part(3, [0, 2, 1])
    shares = torch.softmax(teacher(unlabelled["input_ids"]), dim=-1)
    logprobs = torch.log_softmax(student(unlabelled["input_ids"]), dim=-1)
    loss = -(shares * logprobs).sum(dim=-1).mean()
    (way,) = torch.autograd.grad(loss, student.weight, create_graph=True)
    after = student.weight - RATE * way
    reached = torch.nn.functional.cross_entropy(labelled["input_ids"] @ after, labelled["labels"])
    (gradient,) = torch.autograd.grad(reached, teacher.weight)
    return gradient


def test_the_teachers_expected_gradient_is_that_through_the_students_step():
    shares = torch.softmax(Toy(2)(part(4, [0, 0])["input_ids"]), dim=-1)
    supervised = teachers_gradient((0, 0), weight=0.0)
    expected = torch.zeros_like(supervised)
    for labels in itertools.product(range(3), repeat=2):
        chance = shares[0, labels[0]] * shares[1, labels[1]]
        expected += (chance * (teachers_gradient(labels, weight=1.0) - supervised)).detach()
    # the loop takes the mean over the two drawn labels, as the paper does, where the exact gradient has their sum
    torch.testing.assert_close(2 * expected, exact_gradient(), rtol=2e-3, atol=1e-10)
    assert exact_gradient().abs().max() > 1e-6


def test_the_feedback_is_to_first_order_how_much_the_labelled_loss_fell():
    given = part(3, [0, 2, 1])
    student = Toy(1)

    def loss(weight: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(given["input_ids"] @ weight, given["labels"])

    before = student.weight.detach().clone()
    way = torch.autograd.grad(loss(student.weight), student.weight)[0]
    after = (before - RATE * way).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(after), after)
    h = feedback([before], [after.detach()], [gradient])
    assert h.item() == pytest.approx((RATE * gradient * way).sum().item())
    assert h.item() == pytest.approx((loss(before) - loss(after)).item(), rel=1e-3)


def test_the_baseline_is_the_average_of_what_came_before():
    baseline = Baseline()
    assert baseline.advantage(0.5) == 0
    assert baseline.advantage(1.5) == 1.0
    assert baseline.value == pytest.approx(0.5 * MOMENTUM + 1.5 * (1 - MOMENTUM))


def test_labels_are_drawn_as_often_as_they_are_probable():
    torch.manual_seed(0)
    drawn = draw(torch.tensor([[0.7, 0.2, 0.1]]).log().expand(5000, 3), 1.0)
    assert (torch.bincount(drawn, minlength=3) / 5000).tolist() == pytest.approx([0.7, 0.2, 0.1], abs=0.02)
    soft = draw(torch.tensor([[0.8, 0.2]]).log().expand(5000, 2), 2.0)
    assert (soft == 0).float().mean().item() == pytest.approx(2 / 3, abs=0.02)


def rows(count: int, start: int = 0) -> list[dict[str, Any]]:
    rooms = ("kitchen", "bedroom", "room")
    return [
        {
            "id": f"r{number}",
            "label": label,
            "text": f"{WORDS[label]} {rooms[number // 3 % 3]}{' please' * (number % 2)}",
        }
        for number in range(start, start + count)
        for label in [list(WORDS)[number % 3]]
    ]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return str(tiny.encoder(tmp_path_factory.mktemp("encoder")))


def train(folder, encoder, unlabelled=None, stop=0, **fields):
    taken = []

    def progress(done, total=None, **_):
        taken.append(done)
        if len(taken) == stop:
            raise KeyboardInterrupt

    step = MetaPseudoLabels(None, None, student=encoder, checkpoint_every=3, **{**FIELDS, **fields})
    context = learning.context(folder, progress=progress)
    pool = [{"text": row["text"]} for row in rows(12)] if unlabelled is None else unlabelled
    step.run(learning.dataset(rows(9)), learning.dataset(pool), encoder, context)
    return context


def test_both_learn_and_a_run_that_was_stopped_twice_ends_the_same(tmp_path, encoder):
    whole = train(tmp_path / "whole", encoder, finetune_epochs=40)
    curve = whole.notes["meta_curve"]
    assert [point["step"] for point in curve] == list(range(1, 7))
    assert curve[-1]["teacher"] < curve[0]["teacher"]
    assert whole.notes["curve"][-1]["loss"] < 0.8 < whole.notes["curve"][0]["loss"]
    assert whole.ledger.counts()["kept"] == 9 + 12
    # in the loop of both after its fourth step, and then, three steps later, in the fine-tuning after its fifth
    for stop in (4, 3 + 5):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "stopped", encoder, stop=stop, finetune_epochs=40)
    resumed = train(tmp_path / "stopped", encoder, finetune_epochs=40)
    assert resumed.notes["meta_curve"] == curve
    for name in ("model.safetensors", "config.json"):
        assert (resumed.out / name).read_bytes() == (whole.out / name).read_bytes()
    other = learning.weights(train(tmp_path / "other", encoder, seed=1, epochs=0.1, finetune_epochs=0.1).out)
    assert not torch.equal(other["classifier.weight"], learning.weights(whole.out)["classifier.weight"])


def test_bad_input_is_named(tmp_path, encoder):
    with pytest.raises(BadInput, match="none of the 2 unlabelled rows has a text in 'text'"):
        train(tmp_path / "1", encoder, [{"text": " "}, {"text": None}])
    with pytest.raises(BadInput, match="tokenizers of student"):
        causal = str(tiny.causal_lm(tmp_path / "causal"))
        step = MetaPseudoLabels(None, None, student=encoder, **FIELDS)
        step.run(
            learning.dataset(rows(9)), learning.dataset(rows(3)), encoder, learning.context(tmp_path / "2"), causal
        )
    with pytest.raises(PotstillError, match="lower the learning_rate"):
        train(tmp_path / "3", encoder, learning_rate=1e30, clip=1e30, warmup=0)
    problems = MetaPseudoLabels(None, None, student=encoder, processes=2).check()
    assert [problem.field for problem in problems] == ["processes"]
