"""Shares of repetition, counted by hand."""

from __future__ import annotations

import pytest

from potstill.text.repetition import repeated_ngrams, repeated_parts


def test_lines_and_paragraphs() -> None:
    assert dict(repeated_parts("ab\ncd\n\n ab\nefgh\n\nab\ncd")) == {
        "duplicate lines": 3 / 6,
        "characters in duplicate lines": 6 / 14,
        "duplicate paragraphs": 1 / 3,
        "characters in duplicate paragraphs": 5 / 17,
    }
    assert set(dict(repeated_parts("")).values()) == {0.0}


@pytest.mark.parametrize(
    ("text", "top", "all_repeated"),
    [
        ("turn on the light", [], []),
        ("aa b aa b c", [6 / 7], [6 / 7]),
        ("a b a b c d c d e", [4 / 9], [8 / 9]),
        ("a b c x y a b c", [4 / 8, 6 / 8], [6 / 8, 6 / 8]),
        ("no no no no", [1.0, 1.0], [1.0, 1.0]),
        ("", [], []),
    ],
)
def test_ngrams(text: str, top: list[float], all_repeated: list[float]) -> None:
    words = text.split()
    assert list(repeated_ngrams(words, (2, 3), only_top=True)) == pytest.approx(top)
    assert list(repeated_ngrams(words, (2, 3), only_top=False)) == pytest.approx(all_repeated)
