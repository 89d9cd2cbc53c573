from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, CompressedTensorsConfig

import compressing
import tiny
from potstill.compression.layerwise import block_layers
from potstill.compression.quantization import fp8
from potstill.errors import BadInput
from potstill.steps.quantization.fp8 import QuantizeFP8


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.causal_lm(tmp_path_factory.mktemp("fp8") / "model", layers=1)


def test_weights_reload_as_the_dequantized_ones_exactly(folder, tmp_path):
    out, context = compressing.run_step(QuantizeFP8, folder, tmp_path, calibration=compressing.rows())
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    assert config["format"] == "float-quantized" and config["ignore"] == ["lm_head"]
    assert load_file(out / "model.safetensors")["model.layers.0.mlp.up_proj.weight"].dtype == torch.float8_e4m3fn
    plain = AutoModelForCausalLM.from_pretrained(
        out, dtype=torch.bfloat16, quantization_config=CompressedTensorsConfig(**{**config, "dequantize": True})
    )
    dense = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    for path, layer in block_layers(dense).items():
        assert torch.equal(plain.get_submodule(path).weight, fp8.quantize(layer.weight, torch.bfloat16).dequantize())
    assert 0 < context.notes["agreement"]["kl"] < 0.01


def test_without_calibration_the_bytes_are_the_same(folder, tmp_path):
    first, _ = compressing.run_step(QuantizeFP8, folder, tmp_path, "first", calibration=compressing.rows())
    second, _ = compressing.run_step(QuantizeFP8, folder, tmp_path, "second")
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    with pytest.raises(BadInput, match="quantized already"):
        compressing.run_step(QuantizeFP8, first, tmp_path, "again")
