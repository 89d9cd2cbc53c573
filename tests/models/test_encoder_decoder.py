"""Plain text in, plain text out: the tokens of an encoder-decoder's rows."""

import pytest

import tiny
import translating
from potstill.errors import BadInput
from potstill.models.encoder_decoder import check_tokenizer, encode, is_encoder_decoder, source_text


def test_the_encoder_reads_the_messages_and_the_decoder_ends_with_the_end_token(tmp_path):
    tokenizer = translating.tokenizer(tmp_path)
    messages = [{"role": "system", "content": "Translate."}, {"role": "user", "content": "snow"}]
    ids, source = encode(tokenizer, messages, "Schnee")
    assert tokenizer.decode(ids[:source]) == source_text(messages) + "</s>" == "Translate.\n\nsnow</s>"
    assert tokenizer.decode(ids[source:]) == "Schnee</s>"


def test_a_tokenizer_that_ends_nothing_gets_its_end_token_once(tmp_path):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny.tokenizer(tmp_path))
    ids, source = encode(tokenizer, [{"role": "user", "content": "on"}], "off")
    assert ids[source:] == [*tokenizer("off")["input_ids"], tokenizer.eos_token_id]
    tokenizer.eos_token = None
    with pytest.raises(BadInput, match="has no eos_token"):
        check_tokenizer(tokenizer)


def test_models_are_told_apart_by_their_config(tmp_path):
    assert is_encoder_decoder(translating.model(tmp_path / "t5"))
    assert not is_encoder_decoder(tiny.causal_lm(tmp_path / "causal", layers=1))
