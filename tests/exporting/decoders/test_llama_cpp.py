"""GGUF files of every type that llama.cpp knows, read by llama.cpp itself."""

from __future__ import annotations

import json

import pytest
import torch

import node_llama
import tiny
import typed_models
from potstill.exporting.decoders import gguf_layout
from potstill.exporting.decoders.gguf import FILE, GGUF
from potstill.steps.exporting.language_model import load

pytestmark = pytest.mark.skipif(bool(node_llama.why_not()), reason=node_llama.why_not())
IDS = list(range(5, 45))


@pytest.mark.parametrize("name", typed_models.CAUSAL)
def test_llama_cpp_computes_what_transformers_does(name, tmp_path):
    source = load(str(typed_models.folder(tmp_path / "model", name)), quantized=False)
    if reasons := list(gguf_layout.problems(source.model.config)):
        pytest.skip(reasons[0])
    ids = IDS[: gguf_layout.context_length(source.model.config) - 1]
    GGUF("f32").check(source)
    GGUF("f32").write(source, tmp_path)
    answers = node_llama.ask(tmp_path / FILE, [ids])
    with torch.no_grad():
        scores = source.model(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
    own = scores.gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
    assert (torch.tensor(answers["logprobs"][0]) - own).abs().max() < 0.02


def sentencepiece(folder):
    """Save a tokenizer as Llama 2's and Mistral's are: BPE of words with a mark for spaces, and bytes for the rest."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE(unk_token="<unk>"))
    spaces = [normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")]
    core.normalizer = normalizers.Sequence(spaces)
    special = ["<unk>", "<s>", "</s>", *(f"<0x{number:02X}>" for number in range(256))]
    core.train_from_iterator(tiny.CORPUS, trainers.BpeTrainer(vocab_size=384, special_tokens=special))
    state = json.loads(core.to_str())
    state["model"] |= {"byte_fallback": True, "fuse_unk": True}
    state["added_tokens"] = state["added_tokens"][:3]  # bytes are no special tokens
    core = Tokenizer.from_str(json.dumps(state))
    back = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    core.decoder = decoders.Sequence(back)
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
    fast = PreTrainedTokenizerFast(tokenizer_object=core, **names)
    fast.chat_template = tiny.CHAT_TEMPLATE
    fast.save_pretrained(folder)


def test_llama_cpp_splits_text_as_sentencepiece_does(tmp_path):
    folder = typed_models.folder(tmp_path / "model", "Mistral without a window")
    sentencepiece(folder)
    source = load(str(folder), quantized=False)
    GGUF("f32").check(source)
    GGUF("f32").write(source, tmp_path)
    words = ["turn on the light", "set 21 degrees, please", "Gr\u00fc\u00dfe \u4f60\u597d", '{"device":"light"}']
    answers = node_llama.ask(tmp_path / FILE, [], words)
    assert answers["tokens"] == [source.tokenizer(text, add_special_tokens=False)["input_ids"] for text in words]
