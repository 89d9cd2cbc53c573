from __future__ import annotations

import math

import pytest
import torch

from cutting import ids, logits, model
from numeric import assert_same_outputs
from potstill.compression.architecture import architecture_of, blocks_of
from potstill.compression.layerwise import walk
from potstill.compression.loss import batches_of, loss
from potstill.compression.pruning.depth import block_influence, left_out, number_layers, rise_of_loss
from potstill.steps.compression.keep_layers import keep


def silenced(made, number):
    """Let block `number` add nothing to the residual stream."""
    block = made.model.layers[number]
    block.self_attn.o_proj.weight.data.zero_()
    block.mlp.down_proj.weight.data.zero_()
    return made


@pytest.mark.parametrize("kind", ["qwen3", "gpt2", "bert"])
def test_influence_is_one_minus_the_cosine_of_what_goes_in_and_comes_out(kind):
    result = model(kind)
    with torch.no_grad():
        states = result.base_model(input_ids=ids(), output_hidden_states=True).hidden_states
    actual = block_influence(walk(result, [ids()[:2], ids()[2:]]))
    for number in range(2):  # the last state has passed the final norm already
        wanted = 1 - torch.cosine_similarity(states[number], states[number + 1], dim=-1).mean()
        assert actual[number] == pytest.approx(float(wanted), abs=1e-5)


def test_a_block_that_does_nothing_has_no_influence_and_costs_no_loss():
    result = silenced(model("qwen3"), 1)
    batches = batches_of([(row, 0) for row in ids()])
    influence, rise = block_influence(walk(result, [ids()])), rise_of_loss(result, batches)
    assert influence[1] == pytest.approx(0, abs=1e-6)
    assert rise[1] == pytest.approx(0, abs=1e-5)
    assert min(influence[0], influence[2]) > 1e-4
    assert rise[0] != pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("kind", ["qwen3", "gpt2", "bert"])
def test_a_block_that_is_passed_by_is_a_block_less(kind):
    result = model(kind)
    with left_out(blocks_of(result)[1][1], architecture_of(result)):
        without = logits(result)
    assert not torch.allclose(without, logits(result))
    keep(result, blocks_of(result)[0], [0, 2])
    number_layers(result)
    assert_same_outputs(logits(result), without)


def test_what_is_left_generates_with_its_cache():
    result = model("llama")
    keep(result, "model.layers", [0, 2])
    number_layers(result)
    cached = result.generate(ids(1, 5), max_new_tokens=6, do_sample=False)
    plain = result.generate(ids(1, 5), max_new_tokens=6, do_sample=False, use_cache=False)
    assert torch.equal(cached, plain)


def test_the_loss_is_that_of_the_answers_tokens():
    result, tokens = model("qwen3"), ids(1)[0]
    every = logits(result, tokens[None])[0, :-1].log_softmax(-1).gather(1, tokens[1:, None])[:, 0]
    assert loss(result, batches_of([(tokens, 0)])) == pytest.approx(-float(every.mean()), rel=1e-5)
    assert loss(result, batches_of([(tokens, 8)])) == pytest.approx(-float(every[7:].mean()), rel=1e-5)
    assert loss(result, batches_of([(tokens, 12)])) == pytest.approx(-float(every[-1]), rel=1e-5)
    classifier = model("bert")
    wanted = -float(logits(classifier, tokens[None])[0].log_softmax(-1)[2])
    assert loss(classifier, batches_of([(tokens, 0)], [2])) == pytest.approx(wanted, rel=1e-5)
    assert math.isfinite(wanted)
