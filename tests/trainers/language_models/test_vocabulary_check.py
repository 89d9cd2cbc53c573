"""Which differences of two vocabularies matter to a student that learns token by token."""

import json
import shutil

import pytest
import transformers

import learning
from potstill.trainers import SoftLabel
from potstill.trainers.language_models.vocabulary_check import difference, padding_in

WORDS = {"a": 0, "b": 1, "</s>": 2}


@pytest.mark.parametrize(
    ("teacher", "student", "paddings", "same"),
    [
        (WORDS, WORDS | {"[PAD]": 3}, (None, "[PAD]"), True),
        (WORDS | {"[PAD]": 3}, WORDS, ("[PAD]", None), True),
        (WORDS | {"<pad>": 3}, WORDS | {"[PAD]": 4}, ("<pad>", "[PAD]"), True),
        (WORDS, WORDS | {"[PAD]": 3}, (None, None), False),
        (WORDS, WORDS | {"[PAD]": 3, "c": 4}, (None, "[PAD]"), False),
        (WORDS | {"c": 3}, WORDS | {"[PAD]": 3}, (None, "[PAD]"), False),
        (WORDS, {"a": 0, "b": 2, "</s>": 1}, (None, None), False),
    ],
)
def test_a_token_that_only_pads_makes_no_difference(teacher, student, paddings, same):
    assert (difference(teacher, student, paddings=paddings) == "") is same


@pytest.mark.parametrize(
    ("settings", "padding"),
    [
        ({"pad_token": "[PAD]", "eos_token": "</s>"}, "[PAD]"),
        ({"pad_token": {"content": "[PAD]"}, "eos_token": {"content": "</s>"}}, "[PAD]"),
        ({"pad_token": "</s>", "eos_token": "</s>"}, None),
        ({"eos_token": "</s>"}, None),
        ({"pad_token": None}, None),
        ([], None),
    ],
)
def test_the_end_of_a_text_is_no_padding(tmp_path, settings, padding):
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    assert padding_in(tmp_path) == padding
    assert padding_in(tmp_path / "nowhere") is None


def test_a_student_with_a_padding_token_of_its_own_learns_from_a_live_teacher(tmp_path, student, teacher):
    """The usual `[PAD]` added to a Llama and its embeddings resized."""
    padded = shutil.copytree(student, tmp_path / "padded")
    tokenizer = transformers.AutoTokenizer.from_pretrained(padded)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    tokenizer.save_pretrained(padded)
    model = transformers.AutoModelForCausalLM.from_pretrained(padded, dtype="auto")
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(padded)
    rows, losses = learning.rows(8), []
    for name, folder in (("plain", student), ("padded", padded)):
        step = SoftLabel(None, student=str(folder), teacher=str(teacher), epochs=1, batch_size=4)
        assert not list(step.check())
        context = learning.context(tmp_path / name)
        step.run(learning.dataset(rows), str(folder), str(teacher), context)
        losses.append(context.notes["curve"][0]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=5e-2)
    assert transformers.AutoTokenizer.from_pretrained(context.out).pad_token == "[PAD]"
