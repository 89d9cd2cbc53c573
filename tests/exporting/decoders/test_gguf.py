from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch

import exported
from potstill.errors import BadInput
from potstill.exporting.decoders.gguf import FILE, GGUF, write_file
from potstill.exporting.decoders.gguf_layout import problems, row_order
from potstill.exporting.decoders.gguf_tensors import stored_type
from potstill.exporting.decoders.gguf_tokenizer import pre_tokenizer, vocabulary

gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")
IDS = torch.tensor([exported.ids()])
QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.fixture(scope="module", params=["llama", "qwen2", "qwen3"])
def folder(request, tmp_path_factory):
    return exported.causal(tmp_path_factory.mktemp(request.param), request.param)


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS, use_cache=False).logits[0]


def read_back(out):
    from potstill.exporting.decoders.gguf_runtime import dequantized

    return dequantized(out)


def fields(path):
    return {name: field.contents() for name, field in gguf.GGUFReader(str(path)).fields.items()}


@pytest.mark.parametrize("precision", ["f32", "q8_0"])
def test_the_file_says_what_the_model_in_memory_is(folder, tmp_path, precision):
    source = exported.source(folder)
    before = logits(source.model)
    GGUF(precision).check(source)
    assert GGUF(precision).write(source, tmp_path).is_exact
    runtime = read_back(tmp_path)
    after = logits(source.model)
    assert torch.allclose(logits(runtime.model), after, atol=1e-4)
    assert torch.equal(before, after) == (precision == "f32")
    text = "It's 21:45, isn't it?\n\n  two  spaces 1024"
    assert runtime.tokenized(text) == source.tokenizer(text)["input_ids"]


@pytest.mark.parametrize(("precision", "bits"), [("f16", 16), ("bf16", 16), ("q8_0", 8.5), ("q4_0", 4.5)])
def test_a_file_takes_the_bits_of_its_type(tmp_path, precision, bits):
    source = exported.source(exported.causal(tmp_path / "model", tie_word_embeddings=True))
    types = write_file(source, tmp_path / FILE, precision)
    tensors = gguf.GGUFReader(str(tmp_path / FILE)).tensors
    matrices = [tensor for tensor in tensors if len(tensor.shape) == 2]
    output, layers = ([t for t in matrices if (t.name == "token_embd.weight") is tied] for tied in (True, False))
    assert sum(int(t.n_bytes) for t in layers) * 8 == bits * sum(int(t.n_elements) for t in layers)
    # tied: no head of its own, and beside 4-bit layers embeddings of 8 bits, as llama.cpp's own tool has them
    assert output[0].n_bytes * 8 == max(bits, 8.5) * output[0].n_elements
    assert types[precision.upper()] == 7 * exported.LAYERS + (precision != "q4_0")


@pytest.mark.parametrize("precision", ["tq1_0", "tq2_0"])
def test_ternary_weights_are_stored_without_loss_in_two_bits(tmp_path, precision):
    source = exported.source(exported.causal(tmp_path / "model", hidden=256))
    layers = {name: p for name, p in source.model.named_parameters() if "_proj" in name}
    with torch.no_grad():
        for weight in layers.values():
            weight.copy_(torch.sign(weight) * (weight.abs() > 0.05) * 0.0625)
    before = logits(source.model)
    GGUF(precision).check(source)
    GGUF(precision).write(source, tmp_path)
    assert torch.allclose(logits(source.model), before, atol=0.05)  # embeddings are float16
    stored = {t.name: t for t in gguf.GGUFReader(str(tmp_path / FILE)).tensors}
    assert stored["blk.0.ffn_up.weight"].n_bytes * 8 / stored["blk.0.ffn_up.weight"].n_elements < 2.1
    assert stored["token_embd.weight"].tensor_type.name == "F16"


def test_rows_that_no_block_divides_stay_16_bit():
    kinds = gguf.GGMLQuantizationType
    assert stored_type("model.layers.0.mlp.up_proj.weight", (10, 48), "q8_0") == kinds.F16
    assert stored_type("model.layers.0.mlp.up_proj.weight", (10, 64), "q8_0") == kinds.Q8_0
    assert stored_type("model.norm.weight", (64,), "q4_0") == kinds.F32


def test_llamas_halves_of_a_head_become_pairs(tmp_path):
    from transformers import LlamaConfig

    config = LlamaConfig(hidden_size=16, num_attention_heads=2, num_key_value_heads=1)
    order = row_order("model.layers.0.self_attn.q_proj.weight", config, 16)
    assert order.tolist() == [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15]
    assert row_order("model.layers.0.self_attn.v_proj.weight", config, 8) is None


def test_sizes_tokens_and_chat_template_are_in_the_file(folder, tmp_path):
    source = exported.source(folder)
    write_file(source, tmp_path / FILE, "f16")
    actual, config = fields(tmp_path / FILE), source.model.config
    kind = config.model_type
    assert actual["general.architecture"] == kind
    assert actual[f"{kind}.attention.head_count_kv"] == 2
    assert actual[f"{kind}.attention.key_length"] == (32 if kind == "qwen3" else 16)
    assert actual[f"{kind}.feed_forward_length"] == config.intermediate_size
    assert actual[f"{kind}.rope.freq_base"] == config.rope_parameters["rope_theta"]
    # transformers gives every model of type qwen2 that type's way of splitting text
    assert actual["tokenizer.ggml.pre"] == ("qwen2" if kind == "qwen2" else "gpt-2")
    assert actual["tokenizer.ggml.eos_token_id"] == source.tokenizer.eos_token_id
    assert actual["tokenizer.chat_template"] == source.tokenizer.chat_template
    assert len(actual["tokenizer.ggml.tokens"]) == config.vocab_size


def test_llama_3s_scaled_positions_are_stored_as_factors(tmp_path):
    scaled = {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 64,
    }
    source = exported.source(exported.causal(tmp_path / "model", "llama", rope_parameters=scaled))
    write_file(source, tmp_path / FILE, "f16")
    factors = next(t for t in gguf.GGUFReader(str(tmp_path / FILE)).tensors if t.name == "rope_freqs.weight").data
    waves = 2 * np.pi * 10000.0 ** (np.arange(8) / 8)
    # wavelengths above the old context are stretched by the factor, those below a quarter of it stay
    assert factors[waves > 64] == pytest.approx(8.0)
    assert factors[waves < 16] == pytest.approx(1.0)


def test_tokens_beyond_the_tokenizers_are_unused(tmp_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(exported.causal(tmp_path))
    actual = vocabulary(tokenizer, len(tokenizer) + 3)
    assert actual.tokens[-1] == f"[PAD{len(tokenizer) + 2}]"
    assert (actual.kinds[-1], actual.kinds[0], actual.kinds[10]) == (5, 3, 1)
    assert not actual.adds_bos


@pytest.mark.parametrize(
    ("state", "name"),
    [
        ({"type": "ByteLevel", "use_regex": True}, "gpt-2"),
        ([{"type": "Digits", "individual_digits": True}, {"type": "ByteLevel", "use_regex": True}], "smollm"),
        ([{"type": "Split", "pattern": {"Regex": QWEN_SPLIT}}, {"type": "ByteLevel", "use_regex": False}], "qwen2"),
        (
            [
                {"type": "Split", "pattern": {"Regex": QWEN_SPLIT.replace(r"\p{N}|", r"\p{N}{1,3}|")}},
                {"type": "ByteLevel", "use_regex": False},
            ],
            "llama-bpe",
        ),
    ],
)
def test_how_text_is_split_has_llama_cpps_name(state, name):
    assert pre_tokenizer({"type": "Sequence", "pretokenizers": state} if isinstance(state, list) else state) == name


def test_a_split_without_a_name_is_refused():
    with pytest.raises(BadInput, match=r"no name that we know.*Whitespace.*export to ONNX"):
        pre_tokenizer({"type": "Whitespace"})


def test_a_tokenizer_of_words_is_refused(tmp_path):
    from transformers import AutoTokenizer

    import tiny

    tokenizer = AutoTokenizer.from_pretrained(tiny.encoder(tmp_path))
    with pytest.raises(BadInput, match=r"is a WordPiece one.*byte-level BPE.*SentencePiece"):
        vocabulary(tokenizer, 100)


def test_what_does_not_fit_is_refused_with_the_reason(tmp_path, monkeypatch):
    source = exported.source(exported.causal(tmp_path, rope_parameters={"rope_type": "yarn", "factor": 2.0}))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="positions scaled by 'yarn'"):
        GGUF("f16").check(source)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "llama_cpp" else name)
    with pytest.raises(BadInput, match=r"made by llama-quantize of llama[.]cpp, which is not on PATH"):
        GGUF("q4_k_m").check(source)
    source = exported.source(exported.causal(tmp_path / "plain"))
    with pytest.raises(BadInput, match=r"blocks of 256 weights, and no layer's rows \(of 64, 128\)"):
        GGUF("tq2_0").check(source)


def test_a_k_type_is_made_by_llama_cpps_tool(tmp_path, monkeypatch):
    source = exported.source(exported.causal(tmp_path / "model"))
    tool = tmp_path / "bin" / "llama-quantize"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\necho "$3" > "$(dirname "$2")/asked" && /bin/cp "$1" "$2"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    out = tmp_path / "out"
    out.mkdir()
    assert not GGUF("q4_k_m").write(source, out).is_exact
    assert (out / "asked").read_text() == "Q4_K_M\n"
    assert sorted(path.name for path in out.glob("*.gguf")) == [FILE]


def test_the_config_that_transformers_reads_the_file_with_is_there(tmp_path):
    source = exported.source(exported.causal(tmp_path / "model"))
    GGUF("f16").write(source, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["head_dim"] == 32


# llama.cpp rounds activations to 8 bits where weights are quantized
@pytest.mark.parametrize(
    ("kind", "precision", "near"),
    [("llama", "f32", 1e-3), ("qwen2", "f16", 1e-3), ("qwen3", "q8_0", 0.01), ("qwen3", "q4_k_m", 0.1)],
)
def test_llama_cpp_itself_answers_as_the_model_in_memory(tmp_path, kind, precision, near):
    pytest.importorskip("llama_cpp", reason="llama.cpp (llama-cpp-python) is not installed")
    from potstill.exporting.decoders.gguf_runtime import LlamaCpp
    from potstill.exporting.probe import InMemory, answers_of, probe_of

    source = exported.source(exported.causal(tmp_path / "model", kind, hidden=256))
    GGUF(precision).check(source)
    GGUF(precision).write(source, tmp_path)
    probe = probe_of([(exported.ids(60), 0)])
    memory = answers_of(InMemory(source.model, source.tokenizer), probe)
    runtime = LlamaCpp(tmp_path)
    answers = answers_of(runtime, probe)
    runtime.close()
    assert answers.perplexity == pytest.approx(memory.perplexity, rel=near)
    assert answers.tokens == memory.tokens


@pytest.mark.parametrize(("kind", "layers"), [("gemma2", 46), ("gemma3_text", 62)])
def test_attention_of_a_gemma_is_scaled_as_llama_cpp_does(kind, layers):
    """Its largest models by the width that each head has of the hidden size, all others by the size of a head."""
    from transformers import AutoConfig

    sizes = {"hidden_size": 96, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 32}

    def reasons(divisor, count):
        config = AutoConfig.for_model(kind, **sizes, query_pre_attn_scalar=divisor, num_hidden_layers=count)
        return list(problems(config))

    assert reasons(48, layers) == reasons(32, layers - 2) == []
    assert reasons(32, layers) == ["llama.cpp divides attention by the root of 48, and here it is 32"]
    assert reasons(48, layers - 2) == ["llama.cpp divides attention by the root of 32, and here it is 48"]
