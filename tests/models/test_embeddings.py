"""Tokens that a tokenizer gives and a model lacks."""

import pytest

import compressing
import learning
import tiny
from potstill.errors import BadInput
from potstill.models.embeddings import check_tokens, embedded_tokens
from potstill.steps import Decode, EvaluatePerplexity
from potstill.trainers import Classifier, HardLabel, LoRA


@pytest.fixture
def model(tmp_path):
    """Return a model whose tokenizer alone has learned a word."""
    from transformers import AutoTokenizer

    folder = tiny.causal_lm(tmp_path / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["the light"])
    tokenizer.save_pretrained(folder)
    return folder


def rows():
    return learning.dataset(learning.rows(4))


@pytest.mark.parametrize("fields", [{}, {"lora": LoRA()}])
def test_training_says_that_they_do_not_belong_together(tmp_path, model, fields):
    step = HardLabel(None, student=str(model), **fields)
    with pytest.raises(BadInput, match=r"gives token \d+, but the model's vocabulary ends at \d+"):
        step.run(rows(), str(model), learning.context(tmp_path))


def test_so_do_measuring_and_decoding(tmp_path, model):
    texts = learning.dataset([{"text": "turn on the light " * 40}])
    step = EvaluatePerplexity(str(model), {"test": texts}, window=32)
    with pytest.raises(BadInput, match="gives token"):
        step.run(str(model), {"test": texts}, compressing.context(tmp_path))
    decode = Decode(None, model=str(model))
    with pytest.raises(BadInput, match="gives token"):
        list(decode.run(rows(), str(model), compressing.context(tmp_path)))


def test_so_do_encoders(tmp_path):
    from transformers import AutoTokenizer

    folder = tiny.encoder(tmp_path / "encoder")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["qqq"])
    tokenizer.save_pretrained(folder)
    texts = learning.dataset([{"text": f"qqq {name}", "label": name} for name in ("on", "off")])
    step = Classifier(None, student=str(folder), text="text", label="label")
    with pytest.raises(BadInput, match="gives token"):
        step.run(texts, str(folder), learning.context(tmp_path))


def test_what_a_model_knows(tmp_path, model):
    from transformers import AutoModelForCausalLM

    size = embedded_tokens(AutoModelForCausalLM.from_pretrained(model))
    check_tokens(size - 1, size)
    check_tokens(10**9, None)
    with pytest.raises(BadInput):
        check_tokens(size, size)
