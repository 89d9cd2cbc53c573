"""TrimVocabulary: the model puts out exactly the same for the rows' texts, with fewer tokens."""

import json

import pytest
import torch
import transformers
from datasets import Dataset
from safetensors import safe_open

import compressing
import tiny
from numeric import assert_same_outputs
from potstill import Pipeline, prompts
from potstill.errors import BadInput, RequestError
from potstill.models.footprint import footprint
from potstill.steps.compression.trim_vocabulary import TrimVocabulary
from potstill.steps.loading.in_memory import LoadRows
from potstill.steps.rows.split import Split

TEXTS = [text for text in tiny.CORPUS if "{" not in text]
SEEN, UNSEEN = TEXTS[:2], TEXTS[2:]


def rows(texts=SEEN, column="text"):
    return Dataset.from_list([{column: text} for text in texts])


def classifier(folder):
    """A BERT with 3 classes, and a WordPiece tokenizer of the corpus' words, all letters and all ##letters."""
    tiny.encoder(folder)
    content = json.loads((folder / "tokenizer.json").read_text())
    letters = 'abcdefghijklmnopqrstuvwxyz0123456789.,{}":'
    for piece in [*letters, *(f"##{letter}" for letter in letters)]:
        content["model"]["vocab"].setdefault(piece, len(content["model"]["vocab"]))
    (folder / "tokenizer.json").write_text(json.dumps(content))
    config = transformers.AutoConfig.from_pretrained(folder)
    config.vocab_size, config.num_labels = len(content["model"]["vocab"]), 3
    torch.manual_seed(1)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def causal(folder):
    return tiny.causal_lm(folder)


def roberta(folder):
    """A RoBERTa, which counts positions from its padding token's id, with byte-level BPE."""
    tiny.tokenizer(folder)
    fast = transformers.AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(2)
    config = transformers.RobertaConfig(
        vocab_size=len(fast),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=66,
        pad_token_id=2,
        bos_token_id=0,
        eos_token_id=1,
        num_labels=4,
    )
    transformers.RobertaForSequenceClassification(config).save_pretrained(folder)
    return folder


AUTO = {
    classifier: transformers.AutoModelForSequenceClassification,
    causal: transformers.AutoModelForCausalLM,
    roberta: transformers.AutoModelForSequenceClassification,
}


def trim(folder, tmp_path, given=None, **fields):
    given = rows() if given is None else given
    context = compressing.context(tmp_path, "trimmed")
    TrimVocabulary(str(folder), rows=given, **fields).run(model=str(folder), rows=given, context=context)
    return context


@torch.no_grad()
def read(folder, make, text):
    """Return the pieces of `text` and the model's logits, from the files alone."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = AUTO[make].from_pretrained(folder, dtype="auto").eval()
    batch = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
    return tokenizer.convert_ids_to_tokens(batch["input_ids"][0]), model(**batch).logits


@pytest.mark.parametrize("make", AUTO)
def test_the_rows_texts_make_the_same_logits(tmp_path, make):
    folder = make(tmp_path / "model")
    context = trim(folder, tmp_path)
    for text in SEEN:
        pieces, logits = read(folder, make, text)
        new_pieces, new_logits = read(context.out, make, text)
        assert new_pieces == pieces
        if make is causal:  # which token has which logit
            old = transformers.AutoTokenizer.from_pretrained(folder)
            new = transformers.AutoTokenizer.from_pretrained(context.out)
            words = new.convert_ids_to_tokens(range(new_logits.shape[-1]))
            logits = logits[..., old.convert_tokens_to_ids(words)]
        assert_same_outputs(new_logits, logits)
    assert context.notes["tokens"]["after"] < context.notes["tokens"]["before"]
    assert context.notes["parameters"]["after"] == footprint(context.out).parameters < footprint(folder).parameters
    assert context.notes["tokens a text"]["before"] == context.notes["tokens a text"]["after"]


@pytest.mark.parametrize("make", AUTO)
def test_other_texts_are_read_in_smaller_pieces_and_come_back(tmp_path, make):
    folder = make(tmp_path / "model")
    context = trim(folder, tmp_path)
    old, new = (transformers.AutoTokenizer.from_pretrained(path) for path in (folder, context.out))
    for text in UNSEEN:
        before, after = old(text)["input_ids"], new(text)["input_ids"]
        assert len(after) > len(before)
        assert old.unk_token is None or new.unk_token_id not in after
        if make is not classifier:
            assert new.decode(after) == old.decode(before) == text
        assert max(after) < context.notes["tokens"]["after"]


def test_chats_are_read_with_their_template(tmp_path):
    folder, given = causal(tmp_path / "model"), compressing.rows(4)
    context = trim(folder, tmp_path, given, prompt="answer.jinja")
    old, new = (transformers.AutoTokenizer.from_pretrained(path) for path in (folder, context.out))
    messages = prompts.render("answer.jinja", given[0])
    before, after = (tokenizer.apply_chat_template(messages, return_dict=False) for tokenizer in (old, new))
    assert new.convert_ids_to_tokens(after) == old.convert_ids_to_tokens(before)
    assert TrimVocabulary(str(folder), rows=given, prompt="answer.jinja").needs() == {"rows": ("output",)}


def test_files_name_the_new_ids(tmp_path):
    context = trim(causal(tmp_path / "model"), tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(context.out)
    config = json.loads((context.out / "config.json").read_text())
    generation = json.loads((context.out / "generation_config.json").read_text())
    assert config["vocab_size"] == len(tokenizer) == context.notes["tokens"]["after"]
    assert config["eos_token_id"] == generation["eos_token_id"] == tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert config["pad_token_id"] == tokenizer.pad_token_id
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))
    assert tokenizer.chat_template == tiny.CHAT_TEMPLATE
    with safe_open(str(context.out / "model.safetensors"), framework="pt") as tensors:
        assert "lm_head.weight" not in tensors.keys(), "tied weights are stored once"  # noqa: SIM118


def test_rare_tokens_fall_into_pieces(tmp_path):
    folder = classifier(tmp_path / "model")
    context = trim(folder, tmp_path, rows([SEEN[0]] * 2 + [SEEN[1]]), min_count=2)
    assert read(context.out, classifier, SEEN[0])[0] == read(folder, classifier, SEEN[0])[0]
    assert len(read(context.out, classifier, SEEN[1])[0]) > len(read(folder, classifier, SEEN[1])[0])
    assert context.notes["tokens a text"]["after"] > context.notes["tokens a text"]["before"]


def test_the_files_of_older_tokenizers_follow(tmp_path):
    folder = classifier(tmp_path / "model")
    words = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in words))
    (folder / "added_tokens.json").write_text(json.dumps({"[CLS]": words["[CLS]"]}))
    out = trim(folder, tmp_path).out
    lines = (out / "vocab.txt").read_text().splitlines()
    kept = json.loads((out / "tokenizer.json").read_text())["model"]["vocab"]
    assert {word: number for number, word in enumerate(lines)} == kept
    assert json.loads((out / "added_tokens.json").read_text()) == {"[CLS]": kept["[CLS]"]}


def test_rows_of_a_test_split_are_refused(tmp_path):
    split = Split(LoadRows([{"text": text} for text in SEEN * 4]), test=0.5)
    assert not list(TrimVocabulary("some/model", rows=split.train).check())
    with pytest.raises(RequestError, match=r"rows.*come from the test split of Split"):
        Pipeline("trim", outputs={"m": TrimVocabulary(str(tmp_path), rows=split.test)}).run(store=tmp_path / "store")


def test_no_text_and_no_column_are_refused(tmp_path):
    folder = classifier(tmp_path / "model")
    with pytest.raises(BadInput, match="no row has a text in text"):
        trim(folder, tmp_path, rows([""]))
    problems = list(TrimVocabulary(str(folder), rows=rows(), fields=()).check())
    assert any("names no column" in problem.message for problem in problems)
