"""What is found of test texts in training texts is what comparing every pair finds."""

from __future__ import annotations

import random

import pytest

from potstill.text.leaks import Found, TestTexts
from potstill.text.ngrams import jaccard, normal, shingles
from potstill.text.overlap import EvaluationTexts

WORDS = [f"w{number}" for number in range(12)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("near", [0.3, 0.5, 0.7, 1.0])
def test_all_pairs_are_found(seed: int, near: float) -> None:
    draw = random.Random(seed)
    texts = [[" ".join(draw.choices(WORDS, k=draw.randint(0, 15))) for _ in range(60)] for _ in range(2)]
    test, train = texts[0] + texts[1][:3], texts[1]
    search = TestTexts(test, 5, 3, near, 2)
    ways = [search.look(text, str(number)) for number, text in enumerate(train)]
    for number, text in enumerate(test):
        actual = search.found[number]
        same = [one for one, other in enumerate(train) if text and normal(other) == normal(text)]
        assert actual.exact == (str(same[0]) if same else None)
        scores = [jaccard(shingles(text, 2), shingles(other, 2)) if text and other else 0 for other in train]
        assert actual.similarity == (max(scores) if max(scores) >= near else None)
        if actual.near is not None:
            assert scores[int(actual.near)] == max(scores)
    for text, way in zip(train, ways, strict=True):
        alike = [other for other in test if other and text]
        assert ("near" in way) == any(jaccard(shingles(text, 2), shingles(one, 2)) >= near for one in alike)
    by_pairs = [EvaluationTexts(5, 3) for _ in test]
    for one, text in zip(by_pairs, test, strict=True):
        one.add(text, "")
    for one, text, actual in zip(by_pairs, test, search.found, strict=True):
        shares = [other for other in train if (hit := one.overlap(other)) and (hit.words or len(text.split()) >= 3)]
        assert (actual.ngram is not None) == bool(shares)
        assert actual.shared is None or actual.shared in normal(text)


def test_texts_without_words_are_found_nowhere_and_zero_turns_a_way_off() -> None:
    search = TestTexts(["", None, "?!", "one two three"], 0, 8, 0.0, 3)
    assert [search.look(text, "a") for text in ("", None, "one two three four", "One, two: three.")] == [
        set(),
        set(),
        set(),
        {"exact"},
    ]
    assert search.found == [Found(), Found(), Found(), Found(exact="a")]


def test_an_empty_name_is_a_name() -> None:
    search = TestTexts(["a b"], 0, 8, 0.5, 2)
    search.look("a b", "")
    assert (search.found[0].exact, search.found[0].near, search.found[0].similarity) == ("", "", 1.0)
