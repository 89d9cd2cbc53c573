"""QuantizeEncoder: 4-bit embeddings too, in a folder that transformers loads as it is."""

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file

import compressing
import tiny
from potstill.compression.formats.gemma import pack
from potstill.errors import BadInput
from potstill.models.footprint import footprint
from potstill.steps.quantization.encoder import QuantizeEncoder
from potstill.steps.quantization.int4 import QuantizeInt4

TEXTS = {"text": "text", "max_length": 32}
IDS = torch.tensor([[2, 5, 6, 7, 8, 3]])


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    folder = tiny.encoder(tmp_path_factory.mktemp("encoders") / "model", hidden=64, layers=1)
    torch.manual_seed(0)
    config = transformers.BertConfig.from_pretrained(folder, num_labels=3)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def quantize(folder, tmp_path, kind=QuantizeEncoder, **fields):
    return compressing.run_step(
        kind, folder, tmp_path, kind.__name__, calibration=compressing.texts(), **TEXTS, **fields
    )


def test_two_values_make_a_byte_the_first_below():
    assert pack(torch.tensor([[-8, 7, 0, -1]], dtype=torch.int8)).tolist() == [[0xF0, 0x78]]
    with pytest.raises(ValueError, match="3 values a row"):
        pack(torch.zeros(1, 3, dtype=torch.int8))


@pytest.mark.parametrize("method", ["gptq", "rtn"])
def test_transformers_loads_the_very_weights_that_were_measured(classifier, tmp_path, method):
    out, context = quantize(classifier, tmp_path, method=method)
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(out, dtype="auto")
    whole = transformers.AutoModelForSequenceClassification.from_pretrained(classifier, dtype=torch.bfloat16)
    for path in (
        "bert.embeddings.word_embeddings",
        "bert.embeddings.position_embeddings",
        "bert.pooler.dense",
        "bert.encoder.layer.0.output.dense",
    ):
        module, dense = loaded.get_submodule(path), whole.get_submodule(path).weight.float()
        read = module.weight.float() if "embeddings" in path else module._dequantize_weights(torch.bfloat16).float()
        assert read.shape == dense.shape and 0.02 < (read - dense).norm() / dense.norm() < 0.2, path
        assert max(len(row.unique()) for row in read) <= 16, path
    tensors, before = load_file(out / "model.safetensors"), load_file(classifier / "model.safetensors")
    assert torch.equal(tensors["classifier.weight"], before["classifier.weight"].bfloat16())
    with torch.no_grad():
        ours, theirs = (model(input_ids=IDS).logits.float() for model in (loaded, whole))
    assert 0 < (ours - theirs).abs().max() < 0.2 * theirs.abs().max()
    assert context.notes["agreement"]["top1"] >= 0.9


def test_it_takes_4_bits_a_weight_where_others_keep_16_for_embeddings(classifier, tmp_path):
    out, _ = quantize(classifier, tmp_path)
    blocks, _ = quantize(classifier, tmp_path, QuantizeInt4)
    assert footprint(out).parameters == footprint(classifier).parameters
    assert footprint(out).weights_bytes < 0.8 * footprint(blocks).weights_bytes
    loaded = transformers.AutoModelForSequenceClassification.from_pretrained(out, dtype=torch.float32)
    nonzero = sum(
        int(((module.weight if hasattr(module, "embedding_dim") else module._dequantize_weights()) != 0).sum())
        for module in loaded.modules()
        if "Quantized" in type(module).__name__
    )
    rest = sum(
        int((value != 0).sum())
        for name, value in load_file(out / "model.safetensors").items()
        if "LayerNorm" in name or name.endswith("bias") or name == "classifier.weight"
    )
    assert footprint(out).nonzero_parameters == nonzero + rest
    card = (out / "README.md").read_text()
    assert "embeddings and pooler int4, head 16-bit" in card and "vllm serve" not in card
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    assert config["quant_method"] == "gemma" and config["modules_to_not_convert"] == ["classifier"]


def test_gptq_and_rounding_make_unlike_models(classifier, tmp_path):
    kl = {}
    for method in ("gptq", "rtn"):
        kl[method] = quantize(classifier, tmp_path / method, method=method)[1].notes["agreement"]
    assert kl["gptq"] != kl["rtn"], "both did the same"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("causal", "a model of type 'qwen3' is no encoder.*QuantizeInt4"),
        ("masked", "predicts tokens with its embeddings"),
    ],
)
def test_what_needs_its_embeddings_whole_is_refused(tmp_path, kind, said):
    folder = tiny.causal_lm(tmp_path / "model") if kind == "causal" else tiny.encoder(tmp_path / "model", layers=1)
    if kind == "masked":
        config = transformers.BertConfig.from_pretrained(folder)
        transformers.BertForMaskedLM(config).save_pretrained(folder)
    with pytest.raises(BadInput, match=said):
        quantize(folder, tmp_path)


def test_widths_that_do_not_fit_are_refused(tmp_path):
    folder = tiny.encoder(tmp_path / "model", hidden=24, layers=1)
    with pytest.raises(BadInput, match="rows of 24, 48 features don't fit"):
        quantize(folder, tmp_path)
