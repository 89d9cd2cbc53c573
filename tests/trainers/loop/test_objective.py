"""What is logged of an objective: its parts add up, and every target counts the same."""

import torch

from potstill.trainers.loop.failure_messages import IDS, named
from potstill.trainers.loop.loop import shown
from potstill.trainers.loop.objective import Losses, Tally
from potstill.trainers.loop.process_group import Group


def halves(logits):
    """An objective in two parts."""
    return Losses({"first": logits[:, 0], "second": 2 * logits[:, 1]}, {"seen": torch.ones(len(logits))})


def test_parts_add_up_to_the_loss():
    logits = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert Losses.of(halves(logits)).total().tolist() == [5.0, 11.0]
    plain = Losses.of(logits[:, 0])
    assert list(plain.parts) == ["loss"] and plain.total().tolist() == [1.0, 3.0]


def test_a_mean_counts_targets_and_not_parts_of_a_batch():
    tally = Tally()
    for part in (torch.tensor([[0.0, 3.0]]), torch.tensor([[1.0, 0.0]] * 3)):
        losses = halves(part)
        tally.add(losses.total(), losses)
    assert tally.means(Group()) == {"first": 0.75, "second": 1.5, "seen": 1.0, "loss": 2.25}
    assert tally.means(Group()) == {}, "it was reset"


def test_the_last_figures_are_shown_in_words():
    logs = {"loss": 1.25, "agreement": 0.8, "epoch": 1.0}
    assert shown(logs, "loss") == "loss 1.2500, agreement 80 %"
    assert shown({"validation_loss": 2.0, "loss": 1.0}, "validation_loss") == "validation loss 2.0000"


def test_rows_are_named_by_their_ids_and_only_the_first_of_many(tmp_path):
    (tmp_path / IDS).write_text("".join(f'"row {number}"\n' for number in range(20)))
    assert named([3, 1], tmp_path) == "the rows 'row 1', 'row 3'"
    assert named(list(range(20)), tmp_path).endswith("'row 9' and 10 more")
    assert named([2], tmp_path / "none") == "the rows number 2"


def test_one_process_needs_no_others():
    group = Group.current()
    assert group == Group(0, 1) and group.share([1, 2]) == [1, 2] and group.gather("x") == ["x"]
    assert [Group(rank, 2).share([1, 2, 3]) for rank in (0, 1)] == [[1, 3], [2]]
    layer = torch.nn.Linear(2, 1)
    layer(torch.ones(1, 2)).sum().backward()
    group.add_gradients(layer)
    assert layer.weight.grad.tolist() == [[1.0, 1.0]]
