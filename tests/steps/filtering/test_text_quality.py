"""Length, language and repetition: what goes, and the reason in figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from filtering import SOURCE, details, run
from potstill import BadInput
from potstill.data import home
from potstill.steps.filtering.text_quality import LanguageFilter, LengthFilter, RepetitionFilter


def test_length_in_words_and_characters(tmp_path: Path) -> None:
    texts = ["stop", "open the blinds", "open all of the blinds", None]
    step = LengthFilter(SOURCE, at_least=2, at_most=4)
    left, reasons = run(step, tmp_path, texts, tokenizer=None)
    assert left == ["r1"]
    assert reasons == {"shorter than 2 words": 2, "longer than 4 words": 1}
    assert details(tmp_path)["r2"] == "5 words"
    assert run(LengthFilter(SOURCE, unit="character", at_most=4), tmp_path, texts, tokenizer=None)[0] == ["r0"]
    assert not step.placement().heavy


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (LengthFilter(SOURCE, at_least=5, at_most=4), "at_least"),
        (LengthFilter(SOURCE, unit="token"), "unit"),
        (LengthFilter(SOURCE, tokenizer="x"), "unit"),
        (LanguageFilter(SOURCE, languages=()), "languages"),
        (RepetitionFilter(SOURCE, top_ngrams=(0.2, 2.0)), "top_ngrams"),
    ],
)
def test_parameters_that_do_not_go_together(wrong: LengthFilter, field: str) -> None:
    assert [problem.field for problem in wrong.check()] == [field]


def test_languages(tmp_path: Path) -> None:
    texts = [
        "Two young men are playing football in the park.",
        "Zwei junge Männer spielen im Park Fußball.",
        "Deux jeunes hommes jouent au football dans le parc.",
        "2 + 2 = 4",
        None,
    ]
    step = LanguageFilter(SOURCE, languages=("en", "fr"))
    left, reasons = run(step, tmp_path, texts)
    assert left == ["r0", "r2"]
    assert reasons == {"not in en or fr": 1, "in no certain language": 2}
    assert details(tmp_path)["r1"].startswith("de, probability 0.")


def test_a_language_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"languages: english, xx is not known: take ISO 639 codes out of .*, en, "):
        run(LanguageFilter(SOURCE, languages=("english", "xx", "de")), tmp_path, ["a"])


def test_repetition(tmp_path: Path) -> None:
    texts = [
        "Open the blinds, then lock the door.",
        "no no no no",
        "one line\nanother line\none line",
        "To be or not to be, that is the question.",
        "",
    ]
    left, reasons = run(RepetitionFilter(SOURCE, column="instruction"), tmp_path, texts)
    assert left == ["r0", "r3", "r4"]
    assert reasons == {"characters in the top 2-gram": 1, "duplicate lines": 1}
    assert details(tmp_path)["r2"] == "0.333 of the text, more than 0.3"


@pytest.mark.parametrize(
    ("field", "text", "reason"),
    [
        ({"lines": 0.1}, "a\nb\nc\na", "duplicate lines"),
        ({"line_characters": 0.1}, "a b\nc d\ne f g h\na b", "characters in duplicate lines"),
        ({"paragraphs": 0.1}, "a b\n\nc d\n\na\nb\n\na b", "duplicate paragraphs"),
        ({"paragraph_characters": 0.1}, "a b\n\nc d\n\na b", "characters in duplicate paragraphs"),
        ({"top_ngrams": (1, 0.1)}, "a b c x y a b c", "characters in the top 3-gram"),
        ({"duplicate_ngrams": (1, 0.1)}, "a b c d e f x a b c d e f", "characters in duplicate 6-grams"),
    ],
)
def test_each_limit_has_its_reason(tmp_path: Path, field: dict[str, object], text: str, reason: str) -> None:
    none = {"lines": 1, "line_characters": 1, "paragraphs": 1, "paragraph_characters": 1}
    step = RepetitionFilter(SOURCE, column="instruction", **{**none, "top_ngrams": (), "duplicate_ngrams": (), **field})
    assert run(step, tmp_path, [text, "z"]) == (["r1"], {reason: 1})


def test_length_in_tokens_of_a_model(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    folder = home.FOLDER / "base"
    texts = ["open the blinds", "open the blinds " * 10, None]
    length = len(AutoTokenizer.from_pretrained(folder)(texts[0], add_special_tokens=False)["input_ids"])
    step = LengthFilter(SOURCE, unit="token", tokenizer=str(folder), at_most=length)
    assert run(step, tmp_path, texts, tokenizer=folder) == (
        ["r0"],
        {f"longer than {length} tokens": 1, "shorter than 1 token": 1},
    )
    assert step.placement().heavy
