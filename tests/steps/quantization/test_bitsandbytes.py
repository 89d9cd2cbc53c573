"""LLM.int8() and NF4: folders that transformers loads through bitsandbytes, written without it."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM

import compressing
import tiny
from potstill.compression.layerwise import block_layers
from potstill.compression.quantization import nf4
from potstill.compression.quantization.rounding import quantize
from potstill.errors import BadInput
from potstill.models.footprint import footprint
from potstill.steps.quantization.llm_int8 import LLMInt8
from potstill.steps.quantization.nf4 import NF4

bitsandbytes = pytest.importorskip("bitsandbytes")
IDS = [torch.arange(3, 60), torch.arange(200, 240)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.causal_lm(tmp_path_factory.mktemp("bnb") / "model", layers=1)


def dense(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)


def test_nf4_reloads_as_what_its_numbers_stand_for(folder, tmp_path):
    out, context = compressing.run_step(NF4, folder, tmp_path, calibration=compressing.rows())
    loaded, model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.bfloat16), dense(folder)
    for path, layer in block_layers(model).items():
        weight = loaded.get_submodule(path).weight
        theirs = bitsandbytes.functional.dequantize_4bit(weight.data, weight.quant_state)
        layer.weight.data = nf4.quantize(layer.weight.data).dequantize(torch.bfloat16)
        assert torch.allclose(theirs, layer.weight, rtol=0.01), path
    for ours, theirs in zip(compressing.logits(model, IDS), compressing.logits(loaded, IDS), strict=True):
        assert (ours - theirs).std() < 0.02 * ours.std()
    assert 0 < context.notes["agreement"]["kl"] < 0.01


@pytest.mark.parametrize("threshold", [0.0, 2.0])
def test_llm_int8_reloads_as_what_its_integers_stand_for(folder, tmp_path, threshold):
    out, context = compressing.run_step(LLMInt8, folder, tmp_path, calibration=compressing.rows(), threshold=threshold)
    loaded, model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.bfloat16), dense(folder)
    for path, layer in block_layers(model).items():
        stored = quantize(layer.weight.data, 8)
        assert torch.equal(loaded.get_submodule(path).weight.data, stored.values), path
        layer.weight.data = stored.dequantize().bfloat16()
    for ours, theirs in zip(compressing.logits(model, IDS), compressing.logits(loaded, IDS), strict=True):
        assert (ours - theirs).std() < 0.02 * ours.std()
    said = json.loads((out / "config.json").read_text())["quantization_config"]["llm_int8_threshold"]
    assert said == pytest.approx(threshold)
    assert "vllm serve" not in (out / "README.md").read_text()
    assert 0 < context.notes["agreement"]["kl"] < 0.01


def test_a_threshold_of_zero_leaves_only_the_rounding_of_the_weights(folder, tmp_path):
    notes = {}
    for threshold in (0.0, 1e9):
        fields = {"calibration": compressing.rows(), "threshold": threshold}
        _, context = compressing.run_step(LLMInt8, folder, tmp_path, str(threshold), **fields)
        notes[threshold] = context.notes["agreement"]["kl"]
    assert notes[0.0] < notes[1e9]


@pytest.mark.parametrize("kind", [NF4, LLMInt8])
def test_encoders_keep_their_pooler(tmp_path, kind):
    folder = tiny.encoder(tmp_path / "model", hidden=64)
    fields = {"calibration": compressing.texts(), "text": "text", "max_length": 32}
    out, _ = compressing.run_step(kind, folder, tmp_path, **fields)
    loaded = AutoModel.from_pretrained(out)
    assert loaded.pooler.dense.weight.dtype == torch.bfloat16
    ids = torch.tensor([[2, 5, 6, 7, 8, 3]])
    with torch.no_grad():
        ours = AutoModel.from_pretrained(folder)(input_ids=ids).pooler_output
        theirs = loaded.eval()(input_ids=ids).pooler_output.float()
    assert torch.nn.functional.cosine_similarity(ours, theirs).item() > 0.99
    assert "vLLM does not load it" in (out / "README.md").read_text()


def test_files_shrink_and_are_counted_right(folder, tmp_path):
    result = {
        kind: footprint(compressing.run_step(kind, folder, tmp_path, kind.__name__)[0]) for kind in (NF4, LLMInt8)
    }
    before = footprint(folder)
    assert {size.parameters for size in result.values()} == {before.parameters}
    assert result[NF4].weights_bytes < result[LLMInt8].weights_bytes < before.weights_bytes


def test_widths_that_the_kernels_lack(tmp_path):
    with pytest.raises(BadInput, match=r"multiples of 64: .*query has 32.*; use QuantizeInt8"):
        compressing.run_step(NF4, tiny.encoder(tmp_path / "model"), tmp_path)


@pytest.mark.parametrize("kind", [NF4, LLMInt8])
def test_a_quantized_model_is_refused(folder, tmp_path, kind):
    out, _ = compressing.run_step(kind, folder, tmp_path)
    with pytest.raises(BadInput, match=r"quantized already \(bitsandbytes\)"):
        compressing.run_step(kind, out, tmp_path, "again")


def test_merging_adapters_is_immune_to_the_repacking_of_an_evaluated_4_bit_model(folder, tmp_path):
    from peft import LoraConfig, PeftModel, get_peft_model

    from potstill.trainers.loop.lora import QLoRA, load_base, merge

    adapted = get_peft_model(load_base(folder, QLoRA(), torch.bfloat16), LoraConfig(r=4, target_modules="all-linear"))
    for name, value in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.02)
    adapted.eval()
    compressing.logits(adapted, IDS)  # this is what repacks the weights
    adapted.save_pretrained(tmp_path / "adapter")
    beside = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), tmp_path / "adapter"
    )
    merged = merge(folder, tmp_path / "adapter").float()
    for ours, theirs in zip(compressing.logits(merged, IDS), compressing.logits(beside, IDS), strict=True):
        # but for bfloat16's rounding of the merged weights
        assert (ours - theirs).norm() < 0.01 * theirs.norm()
