"""Lottery tickets: the graph is the papers' procedure, and a run of it goes back to the weights that it says."""

from __future__ import annotations

import doctest
import itertools

import pytest
import torch

import learning
import tiny
import zeroing
from potstill import BadInput
from potstill.recipes import TrainCausal, TrainClassifier, lottery_ticket
from potstill.recipes.lottery_ticket import LotteryTicket
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.pruning.magnitude import MagnitudePrune
from potstill.steps.pruning.rewind import Rewind
from potstill.trainers.encoders.classifier import Classifier
from potstill.trainers.language_models.soft_label import SoftLabel

ROWS = LoadRows(zeroing.labelled(12))


def test_each_round_prunes_the_same_share_of_what_is_left_and_goes_back():
    like = Classifier(ROWS, student="x", epochs=7, seed=3)
    actual = LotteryTicket(ROWS, student="base", sparsity=0.875, rounds=3, train=TrainClassifier(like))
    assert len(actual) == 4
    assert actual[0].student == "base" and not actual[0].hold_zeros
    shares = []
    for before, after in itertools.pairwise(actual):
        ticket = after.student
        assert type(ticket) is Rewind and ticket.weights == "base" and ticket.control == "none"
        assert type(ticket.model) is MagnitudePrune and ticket.model.model is before
        assert after.hold_zeros and (after.epochs, after.seed) == (7, 3)
        shares.append(ticket.model.sparsity)
    assert shares == [0.5, 0.75, 0.875]


def test_a_rewinding_point_is_a_short_training_that_all_rounds_share():
    actual = LotteryTicket(ROWS, student="base", rounds=2, rewind=0.5)
    points = [step.student.weights for step in actual[1:]]
    assert points[0] is points[1] and type(points[0]) is Classifier
    assert points[0].epochs == 0.5 and points[0].student == "base"


def test_a_control_takes_the_place_of_the_last_mask_alone():
    actual = LotteryTicket(ROWS, student="base", rounds=2, control="random", seed=5)
    assert [(step.student.control, step.student.seed) for step in actual[1:]] == [("none", 0), ("random", 5)]


def test_causal_models_train_too():
    like = SoftLabel(ROWS, student="x", epochs=2)
    actual = LotteryTicket(ROWS, student="base", rounds=1, train=TrainCausal(like))
    assert type(actual.student).__name__ == "HardLabel" and actual.student.hold_zeros


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sparsity": 1.0}, "sparsity: must be > 0 and < 1, got 1.0"),
        ({"sparsity": 0.0, "rewind": -1.0}, "sparsity: .*\nLotteryTicket.rewind: must be >= 0, got -1.0"),
        ({"rounds": 0}, "rounds: must be >= 1, got 0"),
        (
            {"train": lambda rows, student, teacher: MagnitudePrune(student)},
            "makes a MagnitudePrune, which has no hold_z",
        ),
    ],
)
def test_wrong_requests_are_refused(fields, message):
    with pytest.raises(BadInput, match=message):
        LotteryTicket(ROWS, student="base", **fields)


def test_the_example_is_true():
    names = {"LoadRows": LoadRows, "LotteryTicket": LotteryTicket, "encoder": "encoder"}
    (example,) = doctest.DocTestFinder(recurse=False).find(lottery_ticket.LotteryTicket, globs=names)
    assert doctest.DocTestRunner().run(example).failed == 0


def test_it_runs_and_the_last_student_has_the_zeros_and_the_first_weights_around_them(tmp_path):
    base = tiny.encoder(tmp_path / "base")
    like = Classifier(ROWS, student="x", epochs=1, batch_size=6, learning_rate=5e-3)
    actual = LotteryTicket(ROWS, student=str(base), sparsity=0.75, rounds=2, rewind=0.5, train=TrainClassifier(like))
    last, dense = actual.student, actual[0]
    result = zeroing.made(tmp_path / "store", last=last, ticket=last.student, point=last.student.weights, dense=dense)
    after, ticket, point, whole = (learning.weights(result[name].path) for name in ("last", "ticket", "point", "dense"))
    names = [name for name in after if "encoder.layer" in name and after[name].dim() == 2]
    assert sum(int((after[name] == 0).sum()) for name in names) == sum(after[name].numel() for name in names) * 3 // 4
    for name in names:
        assert torch.equal(after[name] == 0, ticket[name] == 0)
        assert torch.equal(ticket[name], point[name] * (ticket[name] != 0))
        assert not torch.equal(after[name], ticket[name]) and not torch.equal(point[name], whole[name])
