from __future__ import annotations

import pytest
import torch

import tiny
from potstill.compression.layerwise import block_layers
from potstill.compression.loss import batches_of
from potstill.compression.quantization.token_weights import token_weights

TEXTS = [
    (torch.arange(3 + start, 3 + start + length), prompt) for start, length, prompt in [(0, 12, 0), (40, 9, 4)] * 3
]
SHARED = {"self_attn.q_proj": ("q_proj", "k_proj", "v_proj"), "mlp.gate_proj": ("gate_proj", "up_proj")}
ALONE = {"self_attn.o_proj": ("o_proj",), "mlp.down_proj": ("down_proj",)}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    from transformers import AutoModelForCausalLM

    folder = tiny.causal_lm(tmp_path_factory.mktemp("weights") / "model", layers=2)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def test_they_are_the_squared_slopes_of_drawn_predictions_of_all_layers_that_read_a_token(model):
    mine = token_weights(model, block_layers(model), TEXTS, seed=3)
    assert sorted(mine) == sorted(f"model.layers.{n}.{name}" for n in range(2) for name in SHARED | ALONE)
    slopes = by_whole_graph(model, seed=3)
    for path, weights in mine.items():
        block, name = path.split(".", 3)[:3], path.split(".", 3)[3]
        part = name.split(".")[0]
        readers = [".".join([*block, part, reader]) for reader in (SHARED | ALONE)[name]]
        squares = sum(slopes[reader].square().sum(-1) for reader in readers)
        assert torch.allclose(weights, squares / squares.mean(), rtol=1e-3, atol=1e-5), path


def test_tokens_stand_in_the_order_of_batches_and_the_last_one_of_a_text_is_not_read(model):
    weights = token_weights(model, block_layers(model), TEXTS)["model.layers.0.mlp.gate_proj"]
    start = 0
    for batch in batches_of(TEXTS):
        own = weights[start : start + batch.ids.numel()].reshape(batch.ids.shape)
        assert (own[:, -1] == 0).all() and (own[:, :-1] > 0).all()
        start += batch.ids.numel()
    assert start == len(weights)


def test_inputs_on_which_nothing_hangs_have_no_weights(model):
    model.zero_grad()
    head = model.lm_head.weight.data.clone()
    model.lm_head.weight.data.zero_()
    try:
        assert token_weights(model, block_layers(model), TEXTS) == {}
    finally:
        model.lm_head.weight.data.copy_(head)


def by_whole_graph(model, seed):
    """Return the slopes at the outputs of each layer [tokens, O], in one graph, where nothing is recomputed."""
    slopes: dict[str, list[torch.Tensor]] = {}
    generator = torch.Generator().manual_seed(seed)
    for batch in batches_of(TEXTS):
        # two texts at a time, as the draws of a generator depend on how many are drawn at once
        for ids, prompts in zip(batch.ids.split(2), batch.prompts.split(2), strict=True):
            logits, outputs = with_outputs(model, ids)
            first = prompts.clamp(min=1)
            predicted = torch.arange(1, ids.shape[1])[None] >= first[:, None]
            chosen = logits[:, :-1][predicted].log_softmax(-1)
            tokens = torch.multinomial(chosen.detach().exp(), 1, generator=generator)
            gradients = torch.autograd.grad(chosen.gather(-1, tokens).sum(), list(outputs.values()))
            for path, gradient in zip(outputs, gradients, strict=True):
                slopes.setdefault(path, []).append(gradient.flatten(0, 1))
    return {path: torch.cat(parts) for path, parts in slopes.items()}


def with_outputs(model, ids):
    """Return the logits, and what each linear layer of the blocks puts out by path."""
    outputs: dict[str, torch.Tensor] = {}
    hooks = [
        layer.register_forward_hook(lambda _, __, out, path=path: outputs.update({path: out}))
        for path, layer in block_layers(model).items()
    ]
    try:
        return model(input_ids=ids).logits, outputs
    finally:
        for hook in hooks:
            hook.remove()
