from __future__ import annotations

import pytest
import torch

import exported
import tiny
from potstill.compression.model_types import types_where
from potstill.errors import BadInput
from potstill.exporting.decoders.onnx import ONNX
from potstill.exporting.probe import InMemory, answers_of, probe_of
from potstill.steps.exporting.language_model import load

for package in ("onnxruntime_genai", "onnx", "onnx_ir"):
    pytest.importorskip(package, reason=f"the package {package} is not installed")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model and its export in float32."""
    folder = tmp_path_factory.mktemp("onnx")
    source = exported.source(exported.causal(folder / "model", tie_word_embeddings=True))
    out = folder / "out"
    out.mkdir()
    source.tokenizer.save_pretrained(out)
    ONNX("f32").check(source)
    ONNX("f32").write(source, out)
    return source, out


def test_the_runtime_answers_as_the_model_with_and_without_its_cache(made):
    from potstill.exporting.decoders.onnx_runtime import GenAI

    source, out = made
    probe = probe_of([(exported.ids(24), 0), (exported.ids(9), 0)])
    memory = answers_of(InMemory(source.model, source.tokenizer), probe)
    runtime = answers_of(GenAI(out), probe)
    assert runtime.surprise == pytest.approx(memory.surprise, rel=1e-4)
    assert runtime.continued == memory.continued
    assert runtime.tokens == memory.tokens
    assert runtime.runtime.startswith("onnxruntime-genai 0")


def test_the_tokenizer_files_stay_those_of_the_model(made):
    source, out = made
    assert (out / "tokenizer.json").read_bytes() == (source.folder / "tokenizer.json").read_bytes()
    assert not (out / "cache").exists()


def test_four_bits_are_smaller_and_near(made, tmp_path):
    from potstill.exporting.decoders.onnx_runtime import GenAI

    source, out = made
    ONNX("int4", 32).write(source, tmp_path)
    assert (tmp_path / "model.onnx.data").stat().st_size < 0.5 * (out / "model.onnx.data").stat().st_size
    ids = exported.ids(24)
    mine = torch.tensor(InMemory(source.model, source.tokenizer).log_probabilities(ids))
    theirs = torch.tensor(GenAI(tmp_path).log_probabilities(ids))
    assert 0 < (mine - theirs).abs().mean() < 0.5 * mine.std()


def test_an_architecture_that_the_builder_lacks(tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    tiny.tokenizer(tmp_path)
    GPT2LMHeadModel(GPT2Config(vocab_size=400, n_embd=32, n_layer=1, n_head=2)).save_pretrained(tmp_path)
    with pytest.raises(BadInput, match="can't build models of type 'gpt2' here; supported are ernie4_5, gemma"):
        ONNX().check(load(str(tmp_path), quantized=False))


@pytest.mark.parametrize(("window", "fits"), [(32, False), (4096, True), (None, True)])
def test_a_window_shorter_than_what_is_read_is_refused(tmp_path, window, fits):
    from transformers import MistralConfig, MistralForCausalLM

    tiny.tokenizer(tmp_path)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = MistralConfig(vocab_size=400, num_key_value_heads=1, sliding_window=window, **sizes)
    MistralForCausalLM(config).save_pretrained(tmp_path)
    source = load(str(tmp_path), quantized=False)
    if fits:
        ONNX().check(source)
        return
    with pytest.raises(BadInput, match="attention looks back on 32 tokens only"):
        ONNX().check(source)


def test_what_is_promised_is_built():
    """SmolLM3 was named, and onnxruntime-genai 0.18 fails on it."""
    assert "smollm3" not in types_where(lambda arch: arch.runtimes.genai != "fails")
