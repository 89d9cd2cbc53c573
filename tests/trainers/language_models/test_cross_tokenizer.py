"""SoftLabel by ULD: a teacher with another vocabulary, which reads its own tokens."""

import pytest
import torch

import learning
import tiny
from potstill.errors import BadInput
from potstill.trainers import SoftLabel
from potstill.trainers.language_models.cross_tokenizer import collate_pairs
from potstill.trainers.language_models.divergence import Divergence
from potstill.trainers.language_models.soft_objective import SoftObjective
from potstill.trainers.loop.examples import Example, store
from potstill.trainers.losses import uld


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A model with another vocabulary."""
    return tiny.causal_lm(tmp_path_factory.mktemp("other"), hidden=96, seed=1, vocab_size=300)


def train(folder, student, rows, teacher, **fields):
    """Train in `folder`; return its context."""
    context = learning.context(folder)
    step = SoftLabel(None, student=str(student), teacher=teacher, divergence="uld", **fields)
    step.run(learning.dataset(rows), str(student), teacher, context)
    return context


def test_the_nth_target_is_paired_with_the_nth_and_what_is_left_with_none(tmp_path):
    examples = [
        Example([5, 6, 7, 8, 9], 2, partner=Example([5, 6, 7], 1)),
        Example([5, 6, 7], 1, partner=Example([5, 6, 7, 8, 9], 2)),
    ]
    kept = store(iter(examples), tmp_path)
    assert [list(kept[n].partner.ids) for n in range(2)] == [[5, 6, 7], [5, 6, 7, 8, 9]]
    assert [kept[n].partner.prompt for n in range(2)] == [1, 2]
    batch = collate_pairs([kept[0], kept[1]])
    assert batch["pair"].tolist() == [0, 1, -1, 2, 3]
    assert len(batch["labels"]) == 5 and int(batch["partner_select"].sum()) == 5


def test_targets_without_a_pair_count_nothing_for_the_teacher():
    generator = torch.Generator().manual_seed(0)
    ours, theirs = torch.randn(4, 11, generator=generator), torch.randn(4, 17, generator=generator)
    batch = {"labels": torch.zeros(4).long(), "pair": torch.tensor([0, 1, -1, 2])}
    result = SoftObjective(1.0, 2.0, Divergence("uld"), lambda batch: theirs, 256)(ours, batch)
    expected = 2 * uld(ours, theirs, 2.0)
    expected[2] = 0
    torch.testing.assert_close(result.total(), expected)
    assert "agreement" not in result.metrics


def test_a_teacher_of_another_vocabulary_teaches(tmp_path, student, other):
    step = SoftLabel(None, student=str(student), teacher=str(other), divergence="uld")
    assert not list(step.check())
    fields = {"alpha": 1.0, "epochs": 12, "batch_size": 4, "learning_rate": 3e-3}
    context = train(tmp_path, student, learning.rows(8), str(other), **fields)
    losses = [point["loss"] for point in context.notes["curve"]]
    assert losses[-1] < 0.6 * losses[0]


def test_a_student_that_is_its_teacher_has_nothing_to_learn(tmp_path, student):
    fields = {"alpha": 1.0, "epochs": 1, "chunk_tokens": 7, "precision": "float32"}
    context = train(tmp_path, student, learning.rows(4), str(student), **fields)
    assert context.notes["curve"][0]["loss"] < 1e-4


def test_stored_soft_labels_are_refused(tmp_path, student, teacher):
    rows = learning.with_soft_labels(learning.rows(2), teacher, 4)
    with pytest.raises(BadInput, match="divergence is uld, but stored top-k"):
        train(tmp_path, student, rows, str(teacher))
