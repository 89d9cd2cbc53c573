"""Experts that no token is sent to are cut without a change."""

from __future__ import annotations

import pytest
import torch

import compressing
import typed_models
from potstill.compression.architecture import with_linear_layers, with_own_layers
from potstill.compression.pruning.expert_use import keep_experts, mixtures, use
from potstill.errors import BadInput
from potstill.steps import ExpertPrune, LoadRows
from promises import IDS, loaded, logits


def send_to_one(model):
    """Send each token to one expert, whose weight then does not depend on the others."""
    for module in (model.config, *model.modules()):
        for name in ("top_k", "num_experts_per_tok"):
            if hasattr(module, name):
                setattr(module, name, 1)
        if hasattr(module, "norm_topk_prob"):
            module.norm_topk_prob = True


@torch.no_grad()
@pytest.mark.parametrize("name", ["Mixtral", "Qwen3-MoE", "DeepSeek-V3"])
def test_unused_experts_go_without_a_change(name, tmp_path):
    model = typed_models.made(name)
    with_linear_layers(model)
    send_to_one(model)
    for mixture in mixtures(model):
        # whatever the sign of a token's logit, the first or the third is above the second
        row = mixture.gate.weight[0].clone()
        mixture.gate.weight.copy_(torch.stack([row, 0 * row, -row, row / 2]))
    counts = use(model, [torch.tensor(IDS)])
    assert all(count[1] == 0 < count[0] and count[2] for count in counts)
    before = logits(model)
    keep_experts(model, [torch.tensor([0, 2, 3])] * len(counts))
    assert torch.allclose(logits(model), before, atol=1e-4)
    in_memory = logits(model)
    with_own_layers(model)
    model.save_pretrained(tmp_path)
    assert torch.allclose(logits(loaded(name, tmp_path)), in_memory, atol=1e-4)


def test_the_step_keeps_the_most_used_and_the_model_loads(tmp_path):
    model = typed_models.folder(tmp_path / "model", "Qwen3-MoE")
    out, context = compressing.run_step(
        ExpertPrune, model, tmp_path, calibration=compressing.rows(8), max_length=96, experts=3
    )
    assert loaded("Qwen3-MoE", out).config.num_experts == 3
    assert context.notes["parameters"]["after"] < context.notes["parameters"]["before"]
    assert all(len(counts) == 4 for counts in context.notes["use"])
    for experts, problem in ((1, "take 2 to 3"), (4, "take 2 to 3")):
        with pytest.raises(BadInput, match=problem):
            compressing.run_step(
                ExpertPrune, model, tmp_path, "no", calibration=compressing.rows(8), max_length=96, experts=experts
            )


def test_a_model_without_experts_is_refused(tmp_path):
    model = typed_models.folder(tmp_path / "model", "Qwen3")
    with pytest.raises(BadInput, match="no mixture of experts: take WidthPrune"):
        compressing.run_step(ExpertPrune, model, tmp_path, calibration=compressing.rows(8), max_length=96, experts=3)


@pytest.mark.parametrize(
    ("experts", "problem"), [(8, "leave 12 at least"), (10, "multiple of 4"), (4, "take 6 to 15"), (12, "")]
)
def test_a_router_that_takes_some_groups_keeps_as_many_as_a_token_goes_to(experts, problem):
    from transformers import DeepseekV3Config

    config = DeepseekV3Config(n_routed_experts=16, n_group=4, topk_group=2, num_experts_per_tok=6)
    step = ExpertPrune("some/mixture", calibration=LoadRows([{"text": "a"}]), experts=experts)
    if problem:
        with pytest.raises(BadInput, match=problem):
            step._groups(config, 16)
    else:
        assert step._groups(config, 16) == 4
