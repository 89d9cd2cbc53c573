"""The bit-parallel pool decides as the package `rouge_score` does, and keeps up with a large pool."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from rouge_score.rouge_scorer import RougeScorer

from potstill.steps.novelty import RougePool, tokens_of

SCORER = RougeScorer(["rougeL"], use_stemmer=False)
SEEDS = Path(__file__).parents[2].parent / "shared" / "datasets" / "self-instruct" / "user_oriented_instructions.jsonl"
LENGTHS = (0, 1, 2, 5, 7, 8, 9, 20, 63, 64, 65, 127, 128, 129, 200)


def reference(text: str, pool: list[str]) -> list[float]:
    return [SCORER.score(text, other)["rougeL"].fmeasure for other in pool]


def mixed(draw: random.Random, words: int) -> str:
    """Few different words, so that subsequences are long; punctuation, case and accents to be cut away."""
    return " ".join(draw.choice(["Turn", "on", "the", "light-bulb", "É!", "x2", "off"]) for _ in range(words))


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_the_reference_bit_by_bit(seed: int) -> None:
    draw = random.Random(seed)
    texts = [mixed(draw, draw.choice(LENGTHS)) for _ in range(45)]
    pool = RougePool()
    for text in texts:
        pool.add(text)
    for _ in range(30):
        candidate = mixed(draw, draw.choice(LENGTHS))
        expected = reference(candidate, texts)
        score, owner = pool.nearest(candidate)
        assert score == max(expected)
        assert owner == -1 or expected[owner] == score


def test_a_growing_pool_accepts_the_same_texts_at_every_threshold() -> None:
    draw = random.Random(1)
    candidates = [mixed(draw, draw.randint(1, 12)) for _ in range(100)]
    for threshold in (0.3, 0.5, 0.7, 0.8, 1.0):
        pool, ours, theirs = RougePool(threshold), [], []
        for text in candidates:
            if pool.nearest(text)[0] <= threshold:
                pool.add(text)
                ours.append(text)
            if max(reference(text, theirs), default=0.0) <= threshold:
                theirs.append(text)
        assert ours == theirs


@pytest.mark.skipif(not SEEDS.exists(), reason=f"{SEEDS.name} is not here")
def test_real_instructions_get_the_same_decisions() -> None:
    texts = [json.loads(line)["instruction"] for line in SEEDS.read_text(encoding="utf-8").splitlines()]
    pool = RougePool(0.4)
    for text in texts[:120]:
        pool.add(text)
    for text in texts[120:220]:
        assert (pool.nearest(text)[0] > 0.4) == (max(reference(text, texts[:120])) > 0.4)


def test_words_are_cut_as_the_reference_cuts_them() -> None:
    from rouge_score.tokenizers import DefaultTokenizer

    cut = DefaultTokenizer(use_stemmer=False)
    for text in ("Turn on the light-bulb!", "naïve café №5 — ok_now", "", "  A\tB\nc ", "İstanbul ß"):
        assert tokens_of(text) == cut.tokenize(text)


def test_the_pool_outlives_growth_of_bucket_and_vocabulary() -> None:
    pool = RougePool(0.7)
    for number in range(3000):
        pool.add(f"item {number} is number {number + 1} of many")
    score, owner = pool.nearest("item 2500 is number 2501 of many")
    assert (score, owner) == (1.0, 2500)
    assert len(pool) == 3000


@pytest.mark.slow
def test_it_is_fifty_times_faster_than_the_loop() -> None:
    draw = random.Random(0)
    words = [f"w{number}" for number in range(2000)]
    texts = [" ".join(draw.choice(words) for _ in range(draw.randint(5, 25))) for _ in range(20_000)]
    pool = RougePool(0.7)
    for text in texts:
        pool.add(text)
    start = time.perf_counter()
    for text in texts[:20]:
        pool.nearest(text)
    ours = (time.perf_counter() - start) / 20
    start = time.perf_counter()
    reference(texts[0], texts[:500])
    theirs = (time.perf_counter() - start) * len(texts) / 500
    assert theirs / ours > 50
