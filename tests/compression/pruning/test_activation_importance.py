from __future__ import annotations

import copy

import torch

from cutting import ids, logits, model
from potstill.compression.layerwise import walk
from potstill.compression.pruning.activation_importance import activity, best
from potstill.compression.pruning.slicing import cut_groups, cut_units


def test_importance_is_the_mean_over_the_text_then_the_l2_norm_over_texts():
    result = model("qwen3")
    actual = activity(result, [ids(2), ids(3, 7)])
    squares, heads = torch.zeros(48), torch.zeros(8)
    hidden = torch.zeros(6, 32)
    for number, block in enumerate(walk(result, [ids(2), ids(3, 7)])):
        for states, call in zip(block.inputs, block.calls, strict=True):
            module, took = block.module, {}
            handle = module.self_attn.o_proj.register_forward_pre_hook(
                lambda _, args, took=took: took.update(x=args[0])
            )
            with torch.no_grad():
                read = module.input_layernorm(states)
                states = states + module.self_attn(read, *call.args, **call.named)[0]
                normed = module.post_attention_layernorm(states)
                units = torch.nn.functional.silu(module.mlp.gate_proj(normed)) * module.mlp.up_proj(normed)
            handle.remove()
            for text in range(len(states)):
                hidden[2 * number] += read[text].abs().mean(0) ** 2
                hidden[2 * number + 1] += normed[text].abs().mean(0) ** 2
                if number == 0:
                    squares += units[text].abs().mean(0) ** 2
                    heads += took["x"][text].reshape(-1, 8, 8).square().sum(-1).sqrt().mean(0) ** 2
    assert torch.allclose(actual.units[0], squares.sqrt(), rtol=1e-4)
    assert torch.allclose(actual.heads[0], heads.sqrt(), rtol=1e-4)
    assert torch.allclose(actual.hidden, hidden.sqrt().sum(0), rtol=1e-4)
    assert torch.allclose(actual.groups(2)[0], heads.sqrt().reshape(4, 2).sum(1), rtol=1e-4)


def test_parts_that_hardly_act_are_the_ones_to_go():
    result = model("llama")
    for layer in result.model.layers:
        layer.mlp.up_proj.weight.data[10:20] *= 1e-4
        layer.self_attn.v_proj.weight.data[:8] *= 1e-4
    actual = activity(result, [ids()])
    units, groups = best(actual.units, 38), best(actual.groups(2), 1)
    assert units.tolist() == [[*range(10), *range(20, 48)]] * 3
    assert groups.tolist() == [[1]] * 3
    cut = copy.deepcopy(result)
    cut_units(cut, list(units))
    cut_groups(cut, list(groups))
    assert torch.allclose(logits(cut), logits(result), atol=5e-3)


def test_of_equals_the_first_stay():
    assert best(torch.tensor([1.0, 3, 1, 3, 1]), 3).tolist() == [0, 1, 3]
