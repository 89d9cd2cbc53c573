"""Diversity in closed form, and by a second implementation."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from statistics import fmean

import numpy as np
import pytest
from rouge_score.rouge_scorer import RougeScorer

from potstill.text import diversity
from potstill.text.cosine import mean_cosine, unit_vectors
from potstill.text.diversity import DistinctNgrams, distribution, mean_rouge_l


def test_distinct_ngrams_over_many_merges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diversity, "PENDING", 10)
    draw = random.Random(0)
    texts = [[draw.choice("abcdef") for _ in range(draw.randint(0, 9))] for _ in range(200)]
    counter = DistinctNgrams(2)
    for text in texts:
        counter.add(text)
    pairs = [pair for text in texts for pair in itertools.pairwise(text)]
    assert (counter.distinct, counter.total) == (len(set(pairs)), len(pairs))
    assert counter.share == len(set(pairs)) / len(pairs)
    assert DistinctNgrams(3).share == 0.0


def test_mean_rouge_is_that_of_the_loop_over_all_pairs() -> None:
    draw = random.Random(0)
    texts = [[draw.choice("abcd") for _ in range(draw.choice((0, 1, 5, 70, 130)))] for _ in range(12)]
    score = RougeScorer(["rougeL"], use_stemmer=False).score
    pairs = [score(" ".join(a), " ".join(b))["rougeL"].fmeasure for a, b in itertools.combinations(texts, 2)]
    assert mean_rouge_l(texts) == pytest.approx(fmean(pairs), abs=1e-12)


def test_mean_cosine_is_that_of_the_loop_over_all_pairs() -> None:
    vectors = unit_vectors(np.random.default_rng(0).normal(size=(9, 5)))
    assert mean_cosine(vectors) == pytest.approx(fmean(float(a @ b) for a, b in itertools.combinations(vectors, 2)))
    assert mean_cosine(unit_vectors([[1, 0], [0, 2]])) == pytest.approx(0)


def test_quantiles_are_those_of_numpy() -> None:
    lengths = [random.Random(1).randint(1, 30) for _ in range(1)] + [3, 3, 8, 9, 12, 12, 12, 40, 41]
    actual = distribution(Counter(lengths))
    assert actual["mean"] == pytest.approx(fmean(lengths))
    for name, share in (("p5", 5), ("p25", 25), ("p50", 50), ("p75", 75), ("p95", 95)):
        assert actual[name] == np.percentile(lengths, share, method="inverted_cdf")
