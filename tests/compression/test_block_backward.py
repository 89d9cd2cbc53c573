"""A backward pass that holds one block gives the gradients of one that holds all, and leaves the model as it was."""

from __future__ import annotations

import pytest
import torch

from cutting import KINDS, ids, model
from potstill.compression.architecture import blocks_of
from potstill.compression.block_backward import one_block_held
from potstill.compression.pruning.gates import gated, readers_of_units


def slopes_of_gates(made):
    """Return the slopes of the sum of the logits along a gate on the units of every block."""
    layers = readers_of_units(made)
    gates = [torch.ones(layer.in_features, requires_grad=True) for layer in layers]
    with gated(layers, gates):
        made(input_ids=ids()).logits.square().mean().backward()
    return torch.stack([gate.grad for gate in gates])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_gradients_are_those_of_a_plain_pass(kind):
    result = model(kind)
    plain = slopes_of_gates(result)
    result.zero_grad(set_to_none=True)
    with one_block_held(result):
        slopes = slopes_of_gates(result)
    torch.testing.assert_close(slopes, plain)
    assert slopes.abs().max() > 0 and all(weight.grad is None for weight in result.parameters())


def test_a_block_runs_without_gradients_first_and_with_them_later():
    result, kept = model("qwen3"), []
    layer = readers_of_units(result)[1]
    handle = layer.register_forward_hook(lambda _, __, out: kept.append(out.requires_grad))
    with one_block_held(result):
        loss = result(input_ids=ids()).logits.sum()
        assert kept == [False]
        loss.backward()
    handle.remove()
    assert kept == [False, True]


def test_the_model_is_left_as_it_was_even_by_a_fault():
    result = model("bert")
    wanted = [weight.requires_grad for weight in result.parameters()]
    forwards = [block.forward for block in blocks_of(result)[1]]
    with pytest.raises(ZeroDivisionError), one_block_held(result):
        raise ZeroDivisionError
    assert [weight.requires_grad for weight in result.parameters()] == wanted
    assert [block.forward for block in blocks_of(result)[1]] == forwards
