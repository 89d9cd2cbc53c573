"""Words, n-grams and the resemblance of their sets."""

from __future__ import annotations

import doctest

import pytest

from potstill.text import diversity, minhash, ngrams, verbs
from potstill.text.ngrams import jaccard, normal, shingles


@pytest.mark.parametrize("module", [ngrams, minhash, diversity, verbs])
def test_examples_in_docstrings(module) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


def test_what_is_the_same_text() -> None:
    assert normal("licht \uff21n") == "licht an"
    assert normal("Straße_7,  STRASSE 7!") == "strasse 7 strasse 7"
    assert normal(None) == ""
    assert normal(12) == "12"


def test_shingles_of_short_and_empty_texts_are_the_text() -> None:
    assert shingles("Dim it", 3) == {"dim it"}
    assert shingles("ab", 3, "character") == {"ab"}
    assert shingles("abcd", 3, "character") == {"abc", "bcd"}
    assert shingles("?!", 3) == frozenset()


def test_resemblance() -> None:
    assert jaccard(frozenset("abc"), frozenset("bcd")) == 0.5
    assert jaccard(frozenset(), frozenset()) == 1.0
    assert jaccard(frozenset("a"), frozenset()) == 0.0
