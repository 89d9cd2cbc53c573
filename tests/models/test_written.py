"""A folder that is another model than the one that was written is refused."""

import json

import pytest
import torch
import transformers
from transformers import AlbertConfig, AlbertModel, AutoModelForCausalLM

import kinds_of_models
import tiny
from potstill.compression.architecture import blocks_of
from potstill.compression.formats.compressed_tensors import CompressedTensorsWriter
from potstill.compression.layerwise import block_layers
from potstill.compression.quantization import rounding
from potstill.errors import BadInput, PotstillError
from potstill.models.written import check_answers, check_written


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("deepseek-v3", {"first_k_dense_replace": 1}, "lacks .* leaves over"),
        ("llama", {"num_hidden_layers": 5}, "lacks model.layers.4"),
        ("llama", {"intermediate_size": 96}, "it is refused"),
        ("smollm3", {"no_rope_layers": [1, 1, 0, 1]}, r"its layers \[2, 3\] are of another kind"),
        ("exaone4", {"layer_types": ["sliding_attention"] * 4}, r"its layers \[3\] are of another kind"),
        ("gpt-neo", {"num_layers": 3}, "it is refused"),
    ],
)
def test_a_config_that_says_otherwise(tmp_path, kind, changes, message):
    kinds_of_models.causal(tmp_path, kind)
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    path = "transformer.h" if kind == "gpt-neo" else "model.layers"
    check_written(tmp_path, (model, path))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(BadInput, match=message):
        check_written(tmp_path, (model, path))


def test_a_folder_that_computes_something_else_is_a_bug(tmp_path):
    model = AutoModelForCausalLM.from_pretrained(tiny.causal_lm(tmp_path / "model"))
    model.save_pretrained(tmp_path / "out")
    check_answers(model, tmp_path / "out", 1e-3)
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight.mul_(-1)
    with pytest.raises(PotstillError, match=r"computes something else when it is loaded again.*apart"):
        check_answers(model, tmp_path / "out", 1e-3)


@pytest.mark.parametrize("kind", ["llama", "gemma2", "qwen3-moe"])
def test_a_large_model_is_compared_by_its_first_block(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("potstill.models.written.SMALL", 0)
    kinds_of_models.causal(tmp_path / "model", kind)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    model.save_pretrained(tmp_path / "out")
    check_answers(model, tmp_path / "out", 1e-3)
    first = blocks_of(model)[1][0]
    with torch.no_grad():
        for weight in first.parameters():
            weight.neg_()
    with pytest.raises(PotstillError, match="computes something else when it is loaded again"):
        check_answers(model, tmp_path / "out", 1e-3)


def test_a_large_quantized_model_is_compared_by_its_first_block(tmp_path, monkeypatch):
    monkeypatch.setattr("potstill.models.written.SMALL", 0)
    monkeypatch.setattr("potstill.compression.formats.shards.LEAST", 1)
    model = AutoModelForCausalLM.from_pretrained(tiny.causal_lm(tmp_path / "model"), dtype=torch.bfloat16)
    writer = CompressedTensorsWriter(model, tmp_path / "out")
    for path, layer in block_layers(model).items():
        quantized = rounding.quantize(layer.weight.data, 8, None, torch.bfloat16)
        layer.weight.data.copy_(quantized.dequantize())
        writer.add(path, quantized)
    writer.finish()
    assert len(list((tmp_path / "out").glob("model-*-of-*.safetensors"))) > 1
    check_answers(model, tmp_path / "out", 0.1)
    # numbers read in another order
    model.model.layers[0].mlp.down_proj.weight.data = model.model.layers[0].mlp.down_proj.weight.data.flip(1)
    with pytest.raises(PotstillError, match="computes something else when it is loaded again"):
        check_answers(model, tmp_path / "out", 0.1)


def test_a_large_model_of_one_block_that_is_run_again_is_not_compared(tmp_path, monkeypatch):
    monkeypatch.setattr("potstill.models.written.SMALL", 0)
    config = AlbertConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2
    )
    model = AlbertModel(config)
    model.save_pretrained(tmp_path)
    check_answers(model, tmp_path, 1e-6)
