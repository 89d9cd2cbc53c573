from __future__ import annotations

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

import compressing
from cutting import folder, run, texts
from potstill.compression.layerwise import block_layers
from potstill.errors import BadInput
from potstill.steps.compression.low_rank import LowRank

ROWS = compressing.rows()


def low(path, tmp_path, rows=ROWS, name="out", **fields):
    return run(LowRank(str(path), calibration=rows, **fields), path, rows, tmp_path, name)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    return folder(tmp_path_factory.mktemp("rank") / "model", "qwen3")


def test_every_layer_of_the_blocks_has_that_rank(qwen, tmp_path):
    out, context = low(qwen, tmp_path, rank=5)
    model, old = (AutoModelForCausalLM.from_pretrained(path) for path in (out, qwen))
    for path, layer in block_layers(model).items():
        assert int(torch.linalg.matrix_rank(layer.weight, rtol=1e-4)) == 5, path
    assert torch.equal(model.lm_head.weight, old.lm_head.weight)
    dense = sum(layer.weight.numel() for layer in block_layers(old).values())
    factors = sum(5 * sum(layer.weight.shape) for layer in block_layers(old).values())
    parameters = context.notes["parameters"]
    assert parameters["before"] - parameters["as factors"] == dense - factors
    assert "no factors" in (out / "README.md").read_text()


def test_full_rank_is_the_model(qwen, tmp_path):
    out, context = low(qwen, tmp_path, rank=999)
    assert (out / "model.safetensors").read_bytes() == (qwen / "model.safetensors").read_bytes()
    assert context.notes["parameters"]["as factors"] == context.notes["parameters"]["before"]


def test_knowing_the_inputs_keeps_more_of_the_model(qwen, tmp_path):
    kl = [
        low(qwen, tmp_path, name=method, budget=0.6, method=method)[1].notes["agreement"]["kl"]
        for method in ("whitened", "plain")
    ]
    assert kl[0] < kl[1]


def test_other_kinds(tmp_path):
    out, _ = low(folder(tmp_path / "gpt2", "gpt2"), tmp_path, name="one", budget=0.5)
    assert AutoModelForCausalLM.from_pretrained(out).transformer.h[0].attn.c_attn.weight.shape == (32, 96)
    path = folder(tmp_path / "bert", "bert")
    fields = {"text": "text", "label": "class", "method": "fisher", "budget": 0.5}
    out, _ = low(path, tmp_path, texts(), name="two", **fields)
    assert AutoModelForSequenceClassification.from_pretrained(out).num_labels == 3


def test_the_loss_of_an_encoder_needs_labels(tmp_path):
    path = folder(tmp_path / "bert", "bert")
    with pytest.raises(BadInput, match="name the column of its classes"):
        low(path, tmp_path, texts(), text="text", method="fisher", budget=0.5)


def test_the_size_is_given_once():
    assert "give either" in str(*LowRank("m", calibration=None).check())
    assert "give either" in str(*LowRank("m", calibration=None, rank=3, budget=0.5).check())
