"""RandomSeq2Seq: a model that can be trained and saved like a pretrained one."""

import learning
import tiny
from potstill.steps.init_models import RandomSeq2Seq


def test_an_encoder_decoder_from_nothing_ends_texts_and_has_no_chat_template(tmp_path):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    source = tiny.tokenizer(tmp_path / "tokenizer")
    fields = {"hidden_size": 32, "layers": 1, "intermediate_size": 64, "heads": 2, "dropout": 0.2}
    folders = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        folders.append(RandomSeq2Seq(None, **fields, seed=seed).run(source, learning.context(tmp_path / name)))
    a, b, c = ((folder / "model.safetensors").read_bytes() for folder in folders)
    assert a == b != c
    tokenizer = AutoTokenizer.from_pretrained(folders[0])
    before = AutoTokenizer.from_pretrained(source)
    assert tokenizer("on")["input_ids"] == [*before("on")["input_ids"], tokenizer.eos_token_id]
    assert tokenizer.chat_template is None and tokenizer.get_vocab() == before.get_vocab()
    model = AutoModelForSeq2SeqLM.from_pretrained(folders[0])
    assert model.config.vocab_size % 64 == 0 and model.config.dropout == 0.2
    assert model.generation_config.decoder_start_token_id == tokenizer.eos_token_id
    assert model.generation_config.forced_eos_token_id is None
    [problem] = RandomSeq2Seq(None, hidden_size=33, heads=2).check()
    assert "2 heads can't share a hidden size of 33" in problem.message
