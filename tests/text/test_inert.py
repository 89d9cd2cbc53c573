"""What models write is text wherever it is shown: one list of characters that act, one way to write Markdown."""

from __future__ import annotations

import re

import pytest

from potstill.text.inert import ACTING, RANGES, of_javascript, plain_text, written_out


def test_every_character_that_acts_is_written_out():
    for first, last in RANGES:
        for code in (first, last):
            assert written_out(chr(code)).isascii() and written_out(chr(code)).isprintable()
    for harmless in ("ümlaut", "中文", "\u06cc\u200c\u0645", "👩\u200d🔬", "tab\tline\n"):
        assert written_out(harmless) == harmless


def test_the_list_of_the_script_is_the_same():
    pairs = re.findall(r"\\u\{(\w+)\}-\\u\{(\w+)\}", of_javascript())
    assert [(int(first, 16), int(last, 16)) for first, last in pairs] == list(RANGES)
    assert all(ACTING.fullmatch(chr(code)) for pair in RANGES for code in pair)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a\nb | `c`", "a b \\| \\`c\\`"),
        ("![x](http://e)", "\\!\\[x\\]\\(http\\://e\\)"),
        ("<img src=x> &lt;", "\\<img src=x\\> \\&lt;"),
        ("gold\u202etxt.exe", "gold\\\\u202etxt.exe"),
        ("hidden \U000e0041", "hidden \\\\U000e0041"),
    ],
)
def test_markdown_has_nothing_to_act_on(text, plain):
    assert plain_text(text) == plain
