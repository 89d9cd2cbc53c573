from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

import compressing
import tiny
from potstill.errors import BadInput
from potstill.steps.compression.cast_half import CastHalf


@pytest.fixture
def encoder(tmp_path):
    return tiny.encoder(tmp_path / "model")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_every_weight_is_rounded_to_nearest(encoder, tmp_path, dtype):
    out, _ = compressing.run_step(CastHalf, encoder, tmp_path, dtype=dtype)
    result, dense = load_file(out / "model.safetensors"), load_file(encoder / "model.safetensors")
    assert result.keys() == dense.keys()
    for name, value in dense.items():
        assert torch.equal(result[name], value.to(getattr(torch, dtype))), name
    assert json.loads((out / "config.json").read_text())["dtype"] == dtype
    assert AutoModel.from_pretrained(out).dtype == getattr(torch, dtype)
    assert AutoTokenizer.from_pretrained(out)("turn on")["input_ids"]
    assert dtype in (out / "README.md").read_text()


def test_weights_beyond_float16_are_refused_by_name(encoder, tmp_path):
    model = AutoModel.from_pretrained(encoder)
    model.encoder.layer[1].output.dense.weight.data[0, 0] = 1e6
    model.pooler.dense.bias.data[0] = float("nan")
    model.save_pretrained(encoder)
    with pytest.raises(BadInput) as caught:
        compressing.run_step(CastHalf, encoder, tmp_path, dtype="float16")
    assert "encoder.layer.1.output.dense.weight holds 1e+06" in str(caught.value)
    assert "pooler.dense.bias holds infinite or NaN" in str(caught.value)
    assert len(caught.value.problems) == 2


def test_gpt2_keeps_its_layout(tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tiny.tokenizer(tmp_path / "model")
    GPT2LMHeadModel(GPT2Config(vocab_size=400, n_embd=32, n_layer=1, n_head=2)).save_pretrained(folder)
    out, _ = compressing.run_step(CastHalf, folder, tmp_path)
    assert load_file(out / "model.safetensors")["transformer.h.0.attn.c_attn.weight"].shape == (32, 96)
