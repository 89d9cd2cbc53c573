from __future__ import annotations

import copy

import pytest
import torch

from cutting import ids, logits, model
from potstill.compression.architecture import architecture_of, blocks_of
from potstill.compression.loss import batches_of, loss
from potstill.compression.pruning.gates import gated, readers_of_heads, zero_groups
from potstill.compression.pruning.head_importance import by_layer, head_importance, least
from potstill.compression.pruning.shapes import shape_of


def one_by_one(made, tokens, labels=None):
    """Compute |Att_h . dL/dAtt_h| of each text (Michel et al. 2019, equation 2), and average it over texts."""
    total = 0
    for number, row in enumerate(tokens):
        seen = []

        def see(_, args, seen=seen):
            args[0].retain_grad()
            seen.append(args[0])

        handles = [layer.register_forward_pre_hook(see) for layer in readers_of_heads(made)]
        if labels is None:
            made(input_ids=row[None], labels=row[None]).loss.backward()
        else:
            torch.nn.functional.cross_entropy(
                made(input_ids=row[None]).logits, torch.tensor([labels[number]])
            ).backward()
        for handle in handles:
            handle.remove()
        groups = shape_of(made).groups
        total = total + torch.stack([(one * one.grad).unflatten(-1, (groups, -1)).sum((0, 1, 3)).abs() for one in seen])
    return total / len(tokens)


@pytest.mark.parametrize(("kind", "labels"), [("qwen3", None), ("gpt2", None), ("bert", [0, 2, 1, 1])])
def test_importance_is_michels(kind, labels):
    result, tokens = model(kind), ids()
    actual = head_importance(result, batches_of([(row, 0) for row in tokens], labels))
    assert torch.allclose(actual, one_by_one(result, tokens, labels), rtol=1e-3, atol=1e-6)


def test_importance_is_the_slope_of_the_loss_along_the_gate():
    result, batch = model("qwen3"), batches_of([(ids(1)[0], 0)])
    actual = head_importance(result, batch)
    losses = []
    for value in (1 - 1e-2, 1 + 1e-2):
        gate = torch.ones(64)
        gate[16:32] = value
        with gated(readers_of_heads(result)[:1], [gate]):
            losses.append(loss(result, batch))
    assert abs(losses[1] - losses[0]) / 2e-2 == pytest.approx(float(actual[0, 1]), rel=0.02)


@pytest.mark.parametrize("kind", ["qwen3", "gpt2", "bert"])
def test_zeroed_groups_are_closed_gates(kind):
    result = model(kind)
    shape, zeroed = shape_of(result), copy.deepcopy(result)
    zero_groups(zeroed, [[0], [], [1, 2]], shape.per_group, shape.head_size)
    gates = [torch.ones(shape.groups, shape.per_group * shape.head_size) for _ in range(3)]
    gates[0][0], gates[2][1], gates[2][2] = 0, 0, 0
    with gated(readers_of_heads(result), [gate.flatten() for gate in gates]):
        closed = logits(result)
    assert torch.allclose(logits(zeroed), closed, atol=1e-5)
    arch, block = architecture_of(zeroed), blocks_of(zeroed)[1][0]
    rows = shape.per_group * shape.head_size
    assert not block.get_submodule(arch.queries[0]).weight[:rows].any()


def test_heads_of_the_whole_model_compete_by_their_share_of_the_block():
    importance = torch.tensor([[3.0, 4.0], [30.0, 1.0]])
    assert by_layer(importance).tolist()[0] == pytest.approx([0.6, 0.8])
    assert least(by_layer(importance), 2) == [[0], [1]]
    assert least(importance, 2) == [[0], [1]]
    assert least(importance, 3) == [[0, 1], [1]]
