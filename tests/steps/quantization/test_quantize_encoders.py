"""What compressed-tensors holds besides decoders: BERT reloads in transformers, GPT-2 in bitsandbytes alone."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
)

import compressing
import tiny
from potstill.compression.layerwise import block_layers
from potstill.errors import BadInput
from potstill.steps.quantization.fp8 import QuantizeFP8
from potstill.steps.quantization.gobo import GOBO
from potstill.steps.quantization.int4 import QuantizeInt4
from potstill.steps.quantization.int8 import QuantizeInt8
from potstill.steps.quantization.llm_int8 import LLMInt8
from potstill.steps.quantization.mixed_precision import MixedPrecision
from potstill.steps.quantization.nf4 import NF4

IDS = torch.tensor([[2, 5, 6, 7, 8, 3]])
TEXTS = {"text": "text", "max_length": 32}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A BERT with a pooler and a head."""
    folder = tiny.encoder(tmp_path_factory.mktemp("encoders") / "model", hidden=64, layers=1)
    config = BertConfig.from_pretrained(folder, num_labels=3)
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", [QuantizeInt8, QuantizeInt4, QuantizeFP8, MixedPrecision])
def test_a_classifier_reloads_with_its_head_as_it_was(classifier, tmp_path, kind):
    out, context = compressing.run_step(kind, classifier, tmp_path, calibration=compressing.texts(), **TEXTS)
    tensors, dense = load_file(out / "model.safetensors"), load_file(classifier / "model.safetensors")
    for name in ("classifier.weight", "bert.pooler.dense.weight", "bert.embeddings.word_embeddings.weight"):
        assert torch.equal(tensors[name], dense[name].bfloat16()), name
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    assert config["ignore"] == ["bert.pooler.dense", "classifier"]
    loaded = AutoModelForSequenceClassification.from_pretrained(out)
    whole = AutoModelForSequenceClassification.from_pretrained(classifier, dtype=torch.bfloat16)
    with torch.no_grad():
        ours, theirs = (model(input_ids=IDS).logits.float() for model in (whole, loaded))
    assert not torch.equal(
        loaded.bert.encoder.layer[0].output.dense.weight, whole.bert.encoder.layer[0].output.dense.weight
    )
    assert (ours - theirs).abs().max() < 0.1 * ours.abs().max()
    assert context.notes["agreement"]["top1"] == 1.0
    card = (out / "README.md").read_text()
    assert "vLLM does not load a quantized encoder" in card and "vllm serve" not in card


def test_a_sentence_encoder_stays_one(tmp_path):
    folder = tiny.encoder(tmp_path / "model", hidden=64, layers=1)
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": "Transformer"}]))
    out, _ = compressing.run_step(QuantizeInt8, folder, tmp_path)
    assert (out / "modules.json").is_file()
    with torch.no_grad():
        ours, theirs = (AutoModel.from_pretrained(path)(input_ids=IDS)[0].float() for path in (folder, out))
    assert torch.nn.functional.cosine_similarity(ours, theirs, dim=-1).min() > 0.99


@pytest.mark.parametrize(("kind", "fields"), [(QuantizeInt8, {"smoothquant": 0.5}), (QuantizeInt4, {"method": "awq"})])
def test_scales_have_no_place_in_an_encoder(classifier, tmp_path, kind, fields):
    with pytest.raises(BadInput, match="in a model of type 'bert' what a norm puts out"):
        compressing.run_step(kind, classifier, tmp_path, calibration=compressing.texts(), **TEXTS, **fields)


@pytest.fixture
def gpt2(tmp_path):
    """A model whose layers are stored the other way round."""
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tiny.tokenizer(tmp_path / "model")
    GPT2LMHeadModel(GPT2Config(vocab_size=400, n_embd=64, n_layer=1, n_head=2)).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", [QuantizeInt8, QuantizeInt4, QuantizeFP8, MixedPrecision])
def test_gpt2_is_refused_by_formats_of_linear_layers_with_what_works(gpt2, tmp_path, kind):
    with pytest.raises(
        BadInput, match=r"stores its layers as Conv1D.*use NF4, LLMInt8 or GOBO, or let Export quantize"
    ):
        compressing.run_step(kind, gpt2, tmp_path, calibration=compressing.rows())
    assert block_layers(AutoModel.from_pretrained(gpt2)) == {}


@pytest.mark.parametrize(("kind", "limit"), [(LLMInt8, 0.05), (NF4, 0.3), (GOBO, 0.3)])
def test_what_is_named_to_gpt2_loads_as_the_model_that_it_is(gpt2, tmp_path, kind, limit):
    out, context = compressing.run_step(
        kind, gpt2, tmp_path, **({} if kind is GOBO else {"calibration": compressing.rows()})
    )
    with torch.no_grad():
        before, after = (AutoModelForCausalLM.from_pretrained(path)(input_ids=IDS).logits for path in (gpt2, out))
    assert (before - after).norm() < limit * before.norm()
    assert kind is GOBO or context.notes["agreement"]["kl"] < 0.01
