from __future__ import annotations

import copy

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from cutting import ids, logits, model
from numeric import assert_same_outputs
from potstill.compression.architecture import architecture_of, blocks_of, with_linear_layers, with_own_layers
from potstill.compression.pruning.shapes import shape_of
from potstill.compression.pruning.slicing import cut_groups, cut_hidden, cut_units, features

FREE = ("qwen3", "llama")
ALL = ("qwen3", "llama", "gpt2", "bert", "roberta")


def reloaded(made, folder):
    """Save a model as its kind is stored and load it again, with the mismatches that transformers found."""
    with_own_layers(made)
    made.save_pretrained(folder)
    head = AutoModelForCausalLM if "Causal" in type(made).__name__ or "LMHead" in type(made).__name__ else None
    again, actual = (head or AutoModelForSequenceClassification).from_pretrained(folder, output_loading_info=True)
    assert not any(actual[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys")), actual
    again = again.eval()
    with_linear_layers(again)
    return again


@pytest.mark.parametrize("kind", ALL)
def test_without_units_that_nothing_reads_the_model_is_the_same(kind, tmp_path):
    masked = model(kind)
    arch, blocks = architecture_of(masked), blocks_of(masked)[1]
    kept = [torch.randperm(48)[:16].sort().values for _ in blocks]
    for block, index in zip(blocks, kept, strict=True):
        gone = torch.ones(48, dtype=torch.bool)
        gone[index] = False
        block.get_submodule(arch.down).weight.data[:, gone] = 0
    sliced = copy.deepcopy(masked)
    cut_units(sliced, kept)
    assert torch.allclose(logits(sliced), logits(masked), atol=1e-5)
    again = reloaded(sliced, tmp_path)
    assert torch.allclose(logits(again), logits(masked), atol=1e-5)
    assert shape_of(again).units == 16


@pytest.mark.parametrize("kind", FREE)
def test_without_heads_that_nothing_reads_the_model_is_the_same(kind, tmp_path):
    masked = model(kind)
    arch, blocks, old = architecture_of(masked), blocks_of(masked)[1], shape_of(masked)
    kept = [torch.randperm(old.groups)[: old.groups // 2].sort().values for _ in blocks]
    for block, index in zip(blocks, kept, strict=True):
        gone = torch.ones(old.heads * old.head_size, dtype=torch.bool)
        gone[features(index, old.per_group * old.head_size)] = False
        block.get_submodule(arch.attended).weight.data[:, gone] = 0
    sliced = copy.deepcopy(masked)
    cut_groups(sliced, kept)
    assert torch.allclose(logits(sliced), logits(masked), atol=1e-5)
    again = reloaded(sliced, tmp_path)
    assert torch.allclose(logits(again), logits(masked), atol=1e-5)
    new = shape_of(again)
    assert (new.heads, new.groups, new.head_size) == (old.heads // 2, old.groups // 2, old.head_size)


def test_gpt2s_fused_projection_loses_query_key_and_value_of_a_head():
    masked = model("gpt2")
    for block in masked.transformer.h:
        block.attn.c_proj.weight.data[:, 8:16] = 0
    sliced = copy.deepcopy(masked)
    cut_groups(sliced, [[0, 2, 3]] * 3)
    assert torch.allclose(logits(sliced), logits(masked), atol=1e-5)
    assert sliced.transformer.h[0].attn.c_attn.weight.shape == (72, 32)


def only(kept, norms):
    """Make norms look at the kept channels alone and write zeros elsewhere: what cutting the others comes to."""
    for norm in norms:
        inside = type(norm).forward

        def forward(states, norm=norm, inside=inside):
            part = copy.deepcopy(norm)
            for name, value in norm.named_parameters():
                setattr(part, name, torch.nn.Parameter(value.data[kept]))
            if hasattr(part, "normalized_shape"):
                part.normalized_shape = (len(kept),)
            out = torch.zeros_like(states)
            out[..., kept] = inside(part, states[..., kept])
            return out

        norm.forward = forward


@pytest.mark.parametrize("kind", [*ALL, "bert-mlm"])
def test_cut_channels_are_those_that_norms_and_projections_no_longer_see(kind):
    masked = model(kind)
    kept = torch.tensor([0, 1, 2, 5, 8, 9, 10, 11, 16, 17, 18, 20, 25, 28, 30, 31])
    sliced = copy.deepcopy(masked)
    cut_hidden(sliced, kept)
    named = [module for module in masked.modules() if "norm" in type(module).__name__.lower()]
    only(kept, [norm for norm in named if norm.weight.shape == (32,)])
    if hasattr(masked, "bert") and masked.bert.pooler is not None:
        cut = masked.bert.pooler.dense
        cut.weight.data = torch.where(torch.isin(torch.arange(32), kept)[:, None], cut.weight.data, 0.0)
        cut.bias.data[~torch.isin(torch.arange(32), kept)] = 0
    if kind == "roberta":
        cut = masked.classifier.dense
        cut.weight.data[~torch.isin(torch.arange(32), kept)] = 0
        cut.bias.data[~torch.isin(torch.arange(32), kept)] = 0
    assert torch.allclose(logits(sliced), logits(masked), atol=1e-5)


@pytest.mark.parametrize("kind", FREE)
def test_all_three_together_load_in_transformers(kind, tmp_path):
    result = model(kind)
    cut_hidden(result, range(16))
    cut_groups(result, [[0, 1]] * 3)
    cut_units(result, [range(32)] * 3)
    again = reloaded(result, tmp_path)
    assert_same_outputs(logits(again), logits(result))
    assert shape_of(again).described() | {"head_dim": 8} == shape_of(result).described()
    if kind == "qwen3":
        assert again.lm_head.weight is again.model.embed_tokens.weight


@pytest.mark.parametrize("kind", ["gpt2", "bert", "roberta", "qwen2"])
def test_types_without_a_head_size_lose_heads_with_their_channels(kind, tmp_path):
    result = model(kind)
    cut_hidden(result, range(16))
    cut_groups(result, [list(range(shape_of(result).groups // 2))] * 3)
    again = reloaded(result, tmp_path)
    assert torch.allclose(logits(again), logits(result), atol=1e-6)
    assert shape_of(again).heads * shape_of(again).head_size == again.config.hidden_size == 16


def test_everything_kept_changes_nothing():
    result, same = model("qwen3"), model("qwen3")
    cut_hidden(same, range(32))
    cut_groups(same, [range(4)] * 3)
    cut_units(same, [range(48)] * 3)
    assert_same_outputs(logits(result), logits(same))


def test_a_cut_model_still_trains_and_generates():
    result = model("qwen3")
    cut_groups(result, [[1, 3]] * 3)
    result(input_ids=ids(), labels=ids()).loss.backward()
    assert result.model.layers[0].self_attn.q_proj.weight.grad.shape == (32, 32)
    assert result.generate(ids(1, 4), max_new_tokens=3, do_sample=False).shape[1] <= 7


def test_blocks_must_stay_alike():
    with pytest.raises(ValueError, match="every block must keep as many"):
        cut_units(model("llama"), [[0, 1], [0], [0]])
