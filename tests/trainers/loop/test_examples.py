"""Rows in tokens, and batches of them."""

import numpy as np
import pytest
import torch

import tiny
from potstill.trainers.loop.examples import Example, LengthBatches, collate, micro_batches, store, target_logits


def make(length, prompt, kept=0, start=10):
    ids = list(range(start, start + length))
    if not kept:
        return Example(ids, prompt)
    shape = (length - prompt, kept)
    return Example(ids, prompt, np.full(shape, length, np.int32), np.full(shape, -0.5 * prompt, np.float32))


def test_stored_rows_come_back(tmp_path):
    rows = [make(5, 2, 3), make(9, 4, 3), make(4, 3, 3)]
    stored = store(iter(rows), tmp_path)
    assert len(stored) == 3 and stored.lengths().tolist() == [5, 9, 4]
    for row, back in zip(rows, (stored[i] for i in range(3)), strict=True):
        assert list(back.ids) == list(row.ids) and back.prompt == row.prompt
        assert np.array_equal(back.top_ids, row.top_ids) and np.array_equal(back.top_logprobs, row.top_logprobs)
    assert store([make(5, 2)], tmp_path / "hard")[0].top_ids is None
    assert len(store([], tmp_path / "none")) == 0


def test_each_epoch_has_every_row_once_in_another_order():
    lengths = np.random.default_rng(0).integers(10, 100, 103)
    batches = LengthBatches(lengths, 8, seed=1)
    orders = []
    for epoch in range(2):
        batches.set_epoch(epoch)
        result = list(batches)
        assert len(result) == len(batches) == 13 and sorted(np.concatenate(result)) == list(range(103))
        orders.append(result)
    assert orders[0] != orders[1]
    again = LengthBatches(lengths, 8, seed=1)
    again.set_epoch(1)
    assert list(again) == orders[1]


def test_grouping_by_length_saves_padding():
    lengths = np.random.default_rng(0).integers(20, 120, 2048)
    sizes = [(lengths[batch].max() * len(batch), lengths[batch].sum()) for batch in LengthBatches(lengths, 32, seed=0)]
    padded, real = np.array(sizes).sum(axis=0)
    assert padded < 1.1 * real


def test_micro_batches_keep_the_budget_and_every_row():
    rows = [make(length, 2, start=100 * length) for length in (9, 40, 12, 33, 10, 60)]
    parts = micro_batches(rows, budget=70)
    assert all(part["input_ids"].numel() <= 70 for part in parts)
    firsts = sorted(row[0].item() for part in parts for row in part["input_ids"])
    assert firsts == sorted(row.ids[0] for row in rows)
    assert len(micro_batches(rows, budget=1)) == len(rows)


def test_targets_follow_the_positions_that_predict_them():
    batch = collate([make(6, 2, 1, start=10), make(4, 3, 1, start=50)])
    rows, columns = batch["select"].nonzero(as_tuple=True)
    predictors = batch["input_ids"][rows, batch["keep"][columns]]
    assert batch["labels"].tolist() == [12, 13, 14, 15, 53]
    # in these rows each token is one more than the token before
    assert torch.equal(predictors + 1, batch["labels"])
    assert batch["teacher_ids"].flatten().tolist() == [6, 6, 6, 6, 4]
    assert batch["teacher_logprobs"].flatten().tolist() == [-1, -1, -1, -1, -1.5]


def test_padding_has_no_influence(tmp_path):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny.causal_lm(tmp_path), dtype=torch.float32)
    rows = [make(6, 2), make(30, 11, start=40), make(9, 7, start=90)]
    together = collate(rows)
    alone = [target_logits(model, collate([row])) for row in rows]
    torch.testing.assert_close(target_logits(model, together), torch.cat(alone), atol=2e-5, rtol=1e-4)
    # whatever stands in the padding, logits and gradients are the same to the bit
    padded = torch.arange(29) >= torch.tensor([[5], [29], [8]])
    results = []
    for filler in (0, 7):
        together["input_ids"][padded] = filler
        model.zero_grad()
        logits = target_logits(model, together)
        logits.logsumexp(-1).sum().backward()
        results.append((logits.detach(), model.model.layers[0].mlp.up_proj.weight.grad.clone()))
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("kept", [0, 2])
def test_a_batch_of_one_row_has_one_target_a_token_of_its_answer(kept):
    batch = collate([make(5, 1, kept)])
    assert (
        batch["labels"].tolist() == [11, 12, 13, 14]
        and batch["select"].all()
        and batch["keep"].tolist() == [0, 1, 2, 3]
    )
    assert ("teacher_ids" in batch) == bool(kept)
