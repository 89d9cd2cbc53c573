"""BM25 against its formula, written out, and the properties it is known for."""

from __future__ import annotations

import math
import random

import pytest

from potstill.text.bm25 import BM25


def by_formula(documents, query, place, k1=1.5, b=0.75):
    """Return a score by the sum of section 3.1, word by word."""
    mean = sum(len(document) for document in documents) / len(documents)
    score = 0.0
    for word in query:
        having = sum(word in document for document in documents)
        idf = math.log(1 + (len(documents) - having + 0.5) / (having + 0.5))
        often = documents[place].count(word)
        score += idf * often * (k1 + 1) / (often + k1 * (1 - b + b * len(documents[place]) / mean))
    return score


@pytest.mark.parametrize("seed", range(20))
def test_scores_are_those_of_the_formula(seed):
    draw = random.Random(seed)
    documents = [draw.choices("abcdefgh", k=draw.randint(1, 12)) for _ in range(draw.randint(1, 9))]
    query = draw.choices("abcdxyz", k=draw.randint(0, 4))
    expected = [by_formula(documents, query, place) for place in range(len(documents))]
    assert BM25(documents).scores(query) == pytest.approx(expected, abs=1e-12)


def test_rarer_words_more_of_them_and_shorter_documents_count_more():
    index = BM25([["cat", "rare"], ["cat", "dog"], ["cat", "cat"], ["cat", "dog", "dog", "dog", "dog"]])
    assert index.weight("rare") > index.weight("dog") > index.weight("cat") > 0
    rare, once, twice, long = index.scores(["cat"])
    assert twice > once == rare > long


def test_no_documents_and_empty_ones_have_scores_too():
    assert BM25([]).scores(["a"]) == []
    assert BM25([[], []]).scores(["a"]) == [0.0, 0.0]
