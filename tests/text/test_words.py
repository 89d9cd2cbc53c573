"""Words in every script: what differs in meaning differs in words, and English prose is cut as it always was."""

# ruff: noqa: RUF001 - letters of many scripts look like others

import doctest
import itertools
import random
import re

import pytest

from growth import assert_linear
from potstill.text import words
from potstill.text.words import chunks_of, has_words, phrase_pattern, words_of

DIFFERENT = [
    ["Explain C", "Explain C++", "Explain C#"],
    ["5 + 3", "5 - 3", "5 * 3", "5 / 3", "5 × 3", "5 ÷ 3", "5 ^ 3", "5 = 3", "5 < 3", "5 > 3", "5 3", "5 ≤ 3", "5 % 3"],
    ["5+3", "5-3", "5*3", "5/3", "5×3", "5**3", "53"],
    ["-5", "5", "+5", "$5", "€5", "5%", "#5", ".5", "5²", "52", "½5"],
    ["1.5", "15", "1 5", "1,5", "1:5", "1/5", "1-5"],
    ["👍", "👎", "👍🏽", "👍👍", "👍👎", ""],
    ["👩‍💻", "👩", "👩💻", "👨‍💻"],
    ["🇩🇪", "🇫🇷", "🇩🇪🇫🇷"],
    ["a == b", "a != b", "a = b", "a <= b", "a >= b", "a b", "a && b", "a || b", "a -> b"],
    ["i++", "i--", "i", "++i", "--i", "!i"],
    ["grade A", "grade A+", "grade A-"],
    ["the NET job", "the .NET job"],
    ["x → y", "x ← y", "x ↔ y", "x y"],
    ["Great 😀", "Great 😡", "Great"],
    ["打开灯", "关灯", "打开窗"],
    ["เปิดไฟ", "ปิดไฟ"],
    ["включи свет", "выключи свет"],
    ["أضئ النور", "أطفئ النور"],
    ["ครู", "คร"],
    ["हिंदी", "हद"],
]
SAME = [
    ["Open the blinds", "open the blinds!", "  OPEN, the (blinds).", "**Open** the blinds", '"Open the blinds"'],
    ["5 + 3", "5+3", " 5 +3?"],
    ["C++", "c++.", '"C++"', "(C++)"],
    ["café", "cafe\u0301", "CAFÉ", "ｃａｆé"],
    ["Straße", "STRASSE", "strasse"],
    ["❤️", "❤"],
    ["打开灯", "打开灯。", "「打开灯」", "打 开 灯"],
    ["включи свет", "Включи свет!"],
    ["5 − 3", "5 - 3"],
    ["co\u00adoperate", "cooperate"],
    ["می\u200cخواهم", "میخواهم"],
]


def test_examples_in_docstrings():
    assert doctest.testmod(words).failed == 0


@pytest.mark.parametrize("texts", DIFFERENT, ids=lambda texts: texts[0])
def test_what_differs_in_meaning_differs(texts):
    for one, other in itertools.combinations(texts, 2):
        assert words_of(one) != words_of(other), (one, other)
        assert words_of(f"Say {one} now") != words_of(f"Say {other} now"), (one, other)


@pytest.mark.parametrize("texts", SAME, ids=lambda texts: texts[0])
def test_what_only_looks_different_is_the_same(texts):
    assert {tuple(words_of(text)) for text in texts} == {tuple(words_of(texts[0]))}


def test_a_text_of_symbols_is_not_empty():
    alone = ["+", "-", "*", "/", "=", "<", ">", "()", "[]", "{}", "@", "#", "→", "♥", ""]
    assert len({tuple(words_of(text)) for text in alone}) == len(alone)


def test_marks_stay_with_their_letters():
    assert words_of("हिन्दी में") == ["हिन्दी", "में"]
    assert words_of("مَرْحَبًا بك") == ["مَرْحَبًا", "بك"]
    assert words_of("привет, мир") == ["привет", "мир"]
    assert words_of("कि ไฟ") == ["कि", "ไ", "ฟ"]


def test_sentence_marks_alone_say_nothing():
    assert words_of("?!") == words_of("") == words_of(None) == []
    assert not has_words("…") and has_words("👍") and has_words("C")


def test_english_prose_is_cut_as_it_was_whatever_stands_beside_it():
    draw = random.Random(0)
    parts = ["Turn", "on", "the", "light-bulb,", "don't", "(now)", "E!", "x2", "off.", "--", "well;", '"so"', "ok_now"]
    for _ in range(300):
        text = "So " + " ".join(draw.choices(parts, k=draw.randint(1, 12)))
        plain = re.findall(r"[a-z0-9]+", text.lower())
        assert words_of(text) == plain
        assert words_of(text + " 👍")[:-1] == plain
        assert len(chunks_of(text)) == len(text.split())


def drawn_texts(count):
    """Yield short texts of letters, digits, spaces and all symbols of ASCII, and some with quotes and dashes."""
    draw = random.Random(0)
    symbols = "".join(map(chr, range(128)))
    for number in range(count):
        letters = "aZ19 .:-+*#" * 4 + symbols + "‘’“”–—" * (number % 2)
        yield "".join(draw.choices(letters, k=draw.randint(1, 12)))


def test_the_pattern_of_ascii_texts_is_that_of_all_texts():
    for text in map(words.fold, drawn_texts(20_000)):
        plainer = words._QUOTES_AND_DASHES.sub('"', text)
        assert words._ASCII_WORD.findall(plainer) == words._word_pattern().findall(text), text


def test_the_search_for_symbols_that_mean_something_is_quick_and_the_same():
    symbols = r"[+=<>|~^$%&@*#/\\]|\d[.,:]\d|(?<![^\s(\[{])[-.!]{1,2}\w|\w-(?!\w)|\d ?- ?\d|\w - \w"
    for text in map(words.fold, drawn_texts(20_000)):
        if text.isascii():
            assert bool(words._SPECIAL.search(text)) == bool(re.search(symbols, text)), text


def test_phrases_are_found_as_whole_words():
    import regex

    for phrase, text, actual in [
        ("map", "a map!", True),
        ("map", "maps", False),
        ("C++", "in C++ now", True),
        ("图", "画一张图片", True),
        ("файл", "файлы", False),
        ("रोग", "रोगी", False),
        ("go to", "go to it", True),
    ]:
        assert bool(regex.search(phrase_pattern(phrase), text)) is actual, text


@pytest.mark.parametrize(
    "part", [" ", "(", "+", "- ", "1.", "é", "👍", "\u200d", "字", "c++ ", "*", "a-", "é-", "\u0301", "🇩", "é/"]
)
def test_time_is_linear(part):
    assert_linear(lambda size: (words_of(part * (size // len(part))), chunks_of(part * (size // len(part)))))
