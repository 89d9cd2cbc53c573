from __future__ import annotations

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM

import compressing
import tiny
from potstill.compression.layerwise import block_layers
from potstill.compression.quantization import gobo
from potstill.steps.quantization.gobo import GOBO


def test_the_folder_holds_what_the_dictionaries_stand_for(tmp_path):
    folder = tiny.encoder(tmp_path / "model")
    fields = {"calibration": compressing.texts(), "text": "text", "max_length": 32}
    out, context = compressing.run_step(GOBO, folder, tmp_path, bits=2, **fields)
    result, dense = AutoModel.from_pretrained(out), AutoModel.from_pretrained(folder)
    for path, layer in block_layers(dense).items():
        assert torch.equal(result.get_submodule(path).weight, gobo.quantize(layer.weight.data, 2).dequantize()), path
    words = dense.embeddings.word_embeddings.weight.data
    assert torch.equal(result.embeddings.word_embeddings.weight, gobo.quantize(words, 4).dequantize())
    assert torch.equal(result.pooler.dense.weight, dense.pooler.dense.weight)
    assert context.notes["agreement"]["kl"] > 0


def test_stored_size_counts_dictionaries_outliers_and_the_rest(tmp_path):
    folder = tiny.causal_lm(tmp_path / "model")
    _, context = compressing.run_step(GOBO, folder, tmp_path, embedding_bits=None)
    size, model = context.notes["stored"], AutoModelForCausalLM.from_pretrained(folder)
    layers = block_layers(model).values()
    coded = sum(layer.weight.numel() for layer in layers)
    bits = sum(gobo.quantize(layer.weight.data, 3).stored_bits() for layer in layers)
    assert size["stored bytes"] == (model.num_parameters() - coded) * 2 + -(-bits // 8)
    assert size["bytes before"] == model.num_parameters() * 2
    assert 3 < size["stored bits a coded weight"] < 3.5
    assert size["share of outliers"] < 0.001


@pytest.mark.parametrize("bits", [2, 5])
def test_more_bits_agree_more(tmp_path, bits):
    from transformers import GPT2Config, GPT2LMHeadModel

    folder = tiny.tokenizer(tmp_path / "model")
    GPT2LMHeadModel(GPT2Config(vocab_size=400, n_embd=32, n_layer=1, n_head=2, n_positions=256)).save_pretrained(folder)
    _, context = compressing.run_step(GOBO, folder, tmp_path, bits=bits, calibration=compressing.rows())
    assert (context.notes["agreement"]["kl"] < 1e-4) == (bits == 5)
