from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

import compressing
import tiny
import typed_models
from numeric import assert_same_outputs
from potstill.compression.agreement import compared, outputs
from potstill.compression.layerwise import block_layers
from potstill.compression.quantization.activations import quantized_activations
from potstill.compression.quantization.rounding import quantize
from potstill.errors import BadInput
from potstill.steps.compression.calibration import Calibration
from potstill.steps.pruning.wanda import WandaPrune
from potstill.steps.quantization.int4 import QuantizeInt4, check_widths, gptq_layers, weights_of_tokens
from potstill.steps.quantization.int8 import QuantizeInt8

IDS = [torch.arange(3, 60), torch.arange(200, 240)]
TEXTS = [(ids, 0) for ids in IDS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.causal_lm(tmp_path_factory.mktemp("quantize") / "model", layers=1)


ROUNDED = {"smoothquant": None, "wide": 0.0}
"""Of `QuantizeInt8`: nothing is chosen by what the model does."""


def run(kind, folder, tmp_path, name="out", **fields):
    """Run the step `kind`; return its folder and context."""
    rows = compressing.rows()
    context = compressing.context(tmp_path, name)
    return kind(str(folder), calibration=rows, **fields).run(
        model=str(folder), calibration=rows, context=context
    ), context


def bf16(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)


def dequantized(folder, bits, group_size=None):
    """Return the model of `folder` with rounded weights, in memory."""
    model = bf16(folder)
    for layer in block_layers(model).values():
        layer.weight.data = quantize(layer.weight.data, bits, group_size, torch.bfloat16).dequantize()
    return model


def test_int8_weights_reload_as_the_dequantized_ones_exactly(folder, tmp_path):
    out, _ = run(QuantizeInt8, folder, tmp_path, **ROUNDED)
    plain = AutoModelForCausalLM.from_pretrained(out, dtype=torch.bfloat16, quantization_config=_dequantize(out))
    for path, layer in block_layers(dequantized(folder, 8)).items():
        assert torch.equal(plain.get_submodule(path).weight, layer.weight), path


def test_int8_agreement_is_that_of_the_loaded_model(folder, tmp_path):
    out, context = run(QuantizeInt8, folder, tmp_path, **ROUNDED)
    expected = dequantized(folder, 8)
    with quantized_activations(list(block_layers(expected).values())):
        mine = compressing.logits(expected, IDS)
    # transformers divides by 127.5 and not 127 to find a token's scale, so its activations differ by a rounding
    for ours, theirs, dense in zip(
        mine, compressing.logits(bf16(out), IDS), compressing.logits(bf16(folder), IDS), strict=True
    ):
        assert (ours - theirs).std() < 0.02 * dense.std()
    assert context.notes["agreement"]["top1"] > 0.9
    assert 0 < context.notes["agreement"]["kl"] < 1e-3


def test_int8_file_holds_int8_weights_and_16_bit_embeddings(folder, tmp_path):
    out, _ = run(QuantizeInt8, folder, tmp_path)
    tensors = load_file(out / "model.safetensors")
    assert tensors["model.layers.0.mlp.up_proj.weight"].dtype == torch.int8
    assert tuple(tensors["model.layers.0.mlp.up_proj.weight_scale"].shape) == (128, 1)
    assert tensors["model.embed_tokens.weight"].dtype == torch.bfloat16
    assert "lm_head.weight" not in tensors  # tied
    config = json.loads((out / "config.json").read_text())
    assert config["quantization_config"]["format"] == "int-quantized"
    assert config["dtype"] == "bfloat16"
    assert config["architectures"] == ["Qwen3ForCausalLM"]


def test_int8_without_calibration_is_the_model_that_is_only_rounded(folder, tmp_path):
    measured, _ = run(QuantizeInt8, folder, tmp_path, "measured", **ROUNDED)
    context = compressing.context(tmp_path, "plain")
    plain = QuantizeInt8(str(folder)).run(model=folder, context=context)
    assert (plain / "model.safetensors").read_bytes() == (measured / "model.safetensors").read_bytes()
    assert "agreement" not in context.notes


@pytest.mark.parametrize("group_size", [32, 64])
def test_int4_rounded_reloads_as_the_dequantized_model(folder, tmp_path, group_size):
    out, _ = run(QuantizeInt4, folder, tmp_path, method="rtn", group_size=group_size, symmetric=True)
    mine = compressing.logits(dequantized(folder, 4, group_size), IDS)
    for ours, theirs in zip(mine, compressing.logits(bf16(out), IDS), strict=True):
        assert_same_outputs(ours, theirs, computed_in=torch.bfloat16)


def test_int4_gptq_reloads_as_the_model_in_memory(folder, tmp_path):
    from potstill.steps.compression.calibration import calibration_texts

    out, _ = run(QuantizeInt4, folder, tmp_path)
    model = bf16(folder)
    options = {"prompt": "answer.jinja", "samples": 128, "max_length": 256, "seed": 0}
    texts = calibration_texts(compressing.rows(), AutoTokenizer.from_pretrained(folder), model.config, **options)
    context = compressing.context(tmp_path)
    weights = weights_of_tokens(model, texts, 0, context)
    result = dict(gptq_layers(model, texts.batches(), 32, 0.01, context, False, None, weights))
    tensors = load_file(out / "model.safetensors")
    assert all(torch.equal(tensors[f"{path}.weight_scale"], weight.scale) for path, weight in result.items())
    for ours, theirs in zip(compressing.logits(model, IDS), compressing.logits(bf16(out), IDS), strict=True):
        assert_same_outputs(ours, theirs, computed_in=torch.bfloat16)


def zero_points(folder):
    return {name for name in load_file(folder / "model.safetensors") if name.endswith("weight_zero_point")}


def test_all_but_mixtures_of_experts_have_zero_points_by_default(folder, tmp_path):
    assert zero_points(run(QuantizeInt4, folder, tmp_path, "dense", method="rtn")[0])
    experts = typed_models.folder(tmp_path / "experts", "Qwen3-MoE")
    assert not zero_points(run(QuantizeInt4, experts, tmp_path, "rounded", method="rtn", max_length=96)[0])


def test_experts_and_encoders_count_every_token_alike(tmp_path):
    context = compressing.context(tmp_path)
    drawn = Calibration(TEXTS, cut=0)
    experts = weights_of_tokens(typed_models.made("Qwen3-MoE").eval(), drawn, 0, context)
    assert experts and not any("experts" in path for path in experts)
    assert weights_of_tokens(typed_models.made("BERT").eval(), drawn, 0, context) == {}


def test_gptq_agrees_more_than_rounding(folder, tmp_path):
    _, gptq = run(QuantizeInt4, folder, tmp_path, "gptq")
    _, rounded = run(QuantizeInt4, folder, tmp_path, "rtn", method="rtn")
    assert gptq.notes["agreement"]["kl"] < rounded.notes["agreement"]["kl"]


def test_smoothquant_reloads_and_helps_where_activations_have_outliers(folder, tmp_path):
    spiky = with_outliers(folder, tmp_path)
    plain, smooth = (
        run(QuantizeInt8, spiky, tmp_path, str(alpha), smoothquant=alpha, wide=0.0, samples=16) for alpha in (None, 0.5)
    )
    assert smooth[1].notes["agreement"]["kl"] < 0.5 * plain[1].notes["agreement"]["kl"]
    tensors = load_file(smooth[0] / "model.safetensors")
    assert tensors["model.layers.0.input_layernorm.weight"].float().max() < 20
    for ours, theirs in zip(
        compressing.logits(bf16(spiky), IDS), compressing.logits(bf16(smooth[0]), IDS), strict=True
    ):
        assert (ours - theirs).std() < 0.05 * ours.std()


def test_searched_smoothing_has_a_strength_for_each_set_of_inputs_and_reloads(folder, tmp_path):
    spiky = with_outliers(folder, tmp_path)
    _, rounded = run(QuantizeInt8, spiky, tmp_path, "rounded", **ROUNDED)
    out, context = run(QuantizeInt8, spiky, tmp_path)
    assert context.notes["agreement"]["kl"] < 0.5 * rounded.notes["agreement"]["kl"]
    strengths = context.notes["smoothquant"]
    assert strengths["model.layers.0.input_layernorm"] is not None
    assert "model.layers.0.mlp.up_proj" in strengths
    for ours, theirs in zip(compressing.logits(bf16(spiky), IDS), compressing.logits(bf16(out), IDS), strict=True):
        assert (ours - theirs).std() < 0.05 * ours.std()


def test_the_layer_that_8_bits_harm_stays_in_16_and_serves_so(folder, tmp_path):
    """One unit of the feed-forward layer, which nothing reads, is hundreds of times the others and sets their scale."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    feed_forward = model.model.layers[0].mlp
    feed_forward.gate_proj.weight.data[0] *= 25
    feed_forward.up_proj.weight.data[0] *= 25
    feed_forward.down_proj.weight.data *= 10
    feed_forward.down_proj.weight.data[:, 0] = 0
    odd = tmp_path / "odd"
    model.to(torch.bfloat16).save_pretrained(odd)
    AutoTokenizer.from_pretrained(folder).save_pretrained(odd)
    _, narrow = run(QuantizeInt8, odd, tmp_path, "narrow", samples=16, smoothquant=None, wide=0.0)
    out, context = run(QuantizeInt8, odd, tmp_path, "wide", samples=16, smoothquant=None, wide=0.5)
    assert context.notes["wide"]["layers"] == ["model.layers.0.mlp.down_proj"]
    assert context.notes["agreement"]["kl"] < 0.5 * narrow.notes["agreement"]["kl"]
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    assert sorted(config["ignore"]) == ["lm_head", "model.layers.0.mlp.down_proj"]
    assert load_file(out / "model.safetensors")["model.layers.0.mlp.down_proj.weight"].dtype == torch.bfloat16
    assert "layers in 16 bits | 1, 2" in (out / "README.md").read_text()
    for ours, theirs in zip(compressing.logits(bf16(odd), IDS), compressing.logits(bf16(out), IDS), strict=True):
        assert (ours - theirs).std() < 0.1 * ours.std()


@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_int4_says_how_its_error_compares_with_that_of_rounding(folder, tmp_path, method):
    out, context = run(QuantizeInt4, folder, tmp_path, method, method=method)
    error = context.notes["error against rounding"]
    assert 0 < error["mean"] < 0.98
    assert len(error["layers"]) == 7
    assert "calibration error against rounding" in (out / "README.md").read_text()
    _, rounded = run(QuantizeInt4, folder, tmp_path, "rtn", method="rtn")
    assert "error against rounding" not in rounded.notes


def test_awq_reloads_and_beats_rounding_where_activations_have_outliers(folder, tmp_path):
    spiky = with_outliers(folder, tmp_path)
    kl = {}
    for method in ("rtn", "awq"):
        fields = {"method": method, "symmetric": False, "samples": 16}
        out, context = run(QuantizeInt4, spiky, tmp_path, method, **fields)
        kl[method] = context.notes["agreement"]["kl"]
    assert kl["awq"] < 0.8 * kl["rtn"]
    tensors = load_file(out / "model.safetensors")
    zeros = tensors["model.layers.0.mlp.up_proj.weight_zero_point"]
    assert (zeros.dtype, tuple(zeros.shape)) == (torch.int32, (128 // 8, 64 // 32))
    result = bf16(out)
    compressing.logits(result, IDS)  # transformers unpacks the weights at the first call
    figures = compared(result, outputs(bf16(spiky), TEXTS), outputs(result, TEXTS))
    assert figures["kl"] < 2 * kl["awq"]


def test_smoothquant_needs_rows():
    assert "needs calibration rows" in str(next(iter(QuantizeInt8("model", smoothquant=0.5).check())))


def with_outliers(folder, tmp_path):
    """Save the model with a few large features behind each norm, which the layers make up for: the same function."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for block in model.model.layers:
        readers = {
            block.input_layernorm: (block.self_attn.q_proj, block.self_attn.k_proj, block.self_attn.v_proj),
            block.post_attention_layernorm: (block.mlp.gate_proj, block.mlp.up_proj),
        }
        for norm, layers in readers.items():
            norm.weight.data[::24] *= 64
            for layer in layers:
                layer.weight.data[:, ::24] /= 4
    out = tmp_path / "spiky"
    model.to(torch.bfloat16).save_pretrained(out)
    AutoTokenizer.from_pretrained(folder).save_pretrained(out)
    return out


def test_files_shrink(folder, tmp_path):
    int8, _ = run(QuantizeInt8, folder, tmp_path, "int8")
    int4, _ = run(QuantizeInt4, folder, tmp_path, "int4")
    dense, eight, four = ((path / "model.safetensors").stat().st_size for path in (folder, int8, int4))
    embedding = 2 * bf16(folder).model.embed_tokens.weight.numel()
    assert (eight - embedding) < 0.65 * (dense - embedding)
    assert (four - embedding) < 0.5 * (dense - embedding)


@pytest.mark.parametrize("kind", [QuantizeInt8, QuantizeInt4])
def test_a_pruned_model_stays_pruned(folder, tmp_path, kind):
    rows = compressing.rows()
    sparse = WandaPrune(str(folder), calibration=rows).run(str(folder), rows, compressing.context(tmp_path, "sparse"))
    out, _ = run(kind, sparse, tmp_path)
    model = AutoModelForCausalLM.from_pretrained(out, quantization_config=_dequantize(out))
    for path, layer in block_layers(bf16(sparse)).items():
        assert (model.get_submodule(path).weight[layer.weight == 0] == 0).all(), path


def _dequantize(folder):
    from transformers import CompressedTensorsConfig

    return CompressedTensorsConfig(**{**AutoConfig.from_pretrained(folder).quantization_config, "dequantize": True})


@pytest.mark.parametrize("kind", [QuantizeInt8, QuantizeInt4])
def test_the_same_run_writes_the_same_bytes(folder, tmp_path, kind):
    first, second = run(kind, folder, tmp_path, "first")[0], run(kind, folder, tmp_path, "second")[0]
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name


def test_the_rest_of_the_folder_is_carried_over(folder, tmp_path):
    out, _ = run(QuantizeInt4, folder, tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"):
        assert (out / name).read_bytes() == (folder / name).read_bytes()
    card = (out / "README.md").read_text()
    assert "# model, int4" in card
    assert "int4 in groups of 32" in card


def test_float32_models_are_taken_as_bfloat16(folder, tmp_path):
    wide = tmp_path / "wide"
    AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).save_pretrained(wide)
    AutoTokenizer.from_pretrained(folder).save_pretrained(wide)
    out, _ = run(QuantizeInt8, wide, tmp_path)
    narrow, _ = run(QuantizeInt8, folder, tmp_path, "narrow")
    assert (out / "model.safetensors").read_bytes() == (narrow / "model.safetensors").read_bytes()


@pytest.mark.parametrize("kind", [QuantizeInt8, QuantizeInt4, WandaPrune])
def test_a_quantized_model_is_refused(folder, tmp_path, kind):
    out, _ = run(QuantizeInt8, folder, tmp_path)
    with pytest.raises(BadInput, match="quantized already"):
        run(kind, out, tmp_path, "again")


def test_widths_that_no_group_fits(folder, tmp_path):
    with pytest.raises(BadInput, match=r"q_proj has 64.*group_size that fits: 32 or 64"):
        run(QuantizeInt4, folder, tmp_path, group_size=128)


def test_all_width_problems_are_reported_together():
    with pytest.raises(BadInput) as caught:
        check_widths({"a": (64, 96), "b": (40, 100)}, 64)
    assert len(caught.value.problems) == 2
    assert "a has 96, b has 100; use QuantizeInt8" in str(caught.value)
    assert "b has 40" in str(caught.value)
