"""The bit-parallel pool decides as the package `rouge_score` does, and keeps up with a large pool."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest
from rouge_score.rouge_scorer import RougeScorer

from potstill.text import rouge_novelty
from potstill.text.rouge_novelty import RougePool, terms_of
from potstill.text.words import words_of

SCORER = RougeScorer(["rougeL"], use_stemmer=False)
SEEDS = Path(__file__).parents[3] / "shared" / "datasets" / "self-instruct" / "user_oriented_instructions.jsonl"
LENGTHS = (0, 1, 2, 5, 7, 8, 9, 20, 63, 64, 65, 127, 128, 129, 200)


def reference(text: str, pool: list[str]) -> list[float]:
    return [SCORER.score(text, other)["rougeL"].fmeasure for other in pool]


def mixed(draw: random.Random, words: int) -> str:
    """Few different words, so that subsequences are long; punctuation and case to be cut away."""
    return " ".join(draw.choice(["Turn", "on", "the", "light-bulb", "E!", "x2", "off"]) for _ in range(words))


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_the_reference_bit_by_bit(seed: int) -> None:
    draw = random.Random(seed)
    texts = [mixed(draw, draw.choice(LENGTHS)) for _ in range(30)]
    pool = RougePool()
    for text in texts:
        pool.add(text)
    for _ in range(12):
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
    for text in texts[:80]:
        pool.add(text)
    for text in texts[80:130]:
        assert (pool.nearest(text)[0] > 0.4) == (max(reference(text, texts[:80])) > 0.4)


def test_english_words_are_cut_as_the_reference_cuts_them() -> None:
    from rouge_score.tokenizers import DefaultTokenizer

    cut = DefaultTokenizer(use_stemmer=False)
    for text in (
        "Turn on the light-bulb!",
        "It's (really) ok_now: \"yes\" -- don't.",
        "",
        "  A\tB\nc ",
        "v2 is 3rd; 10 of 5.",
    ):
        assert words_of(text) == cut.tokenize(text)
    for text in ("What is 1.5 + 3, or 5-3?", "C++ and C#", "50% of $5"):  # as many words, where symbols mean something
        assert len(words_of(text)) == len(cut.tokenize(text))


@pytest.mark.parametrize(
    ("known", "same", "other"),
    [
        ("Explain C++", "explain c++!", "Explain C#"),
        ("What is 5 + 3?", "what is 5+3", "What is 5 - 3?"),
        ("打开厨房的灯", "打开厨房的灯。", "今天天气怎么样"),
        ("Включи свет на кухне", "включи свет на кухне!", "Какая погода завтра утром"),
        ("เปิดไฟในห้องครัว", "เปิดไฟในห้องครัว", "วันนี้อากาศเป็นอย่างไร"),
        ("أضئ نور المطبخ", "أضئ نور المطبخ.", "ما حالة الطقس غدا"),
        ("👍", "👍", "👎"),
    ],
)
def test_novelty_knows_every_script(known: str, same: str, other: str) -> None:
    pool = RougePool(0.0)
    pool.add(known)
    assert pool.nearest(same)[0] == 1.0
    assert pool.nearest(other)[0] <= 0.75


def test_the_pool_outlives_growth_of_bucket_and_vocabulary() -> None:
    pool = RougePool(0.7)
    for number in range(3000):
        pool.add(f"item {number} is number {number + 1} of many")
    score, owner = pool.nearest("item 2500 is number 2501 of many")
    assert (score, owner) == (1.0, 2500)
    assert len(pool) == 3000


def test_the_memory_is_counted_and_grows_with_the_tokens_alone() -> None:
    sizes = []
    for texts in (1000, 2000):
        pool = RougePool(0.7)
        for number in range(texts):
            pool.add(f"w{number % 300} w{number % 301} w{number % 7} and so on")
            pool.nearest(f"w{number % 299} w{number % 305} and so on")
        sizes.append(pool.nbytes)
    assert 1.2 < sizes[1] / sizes[0] < 2.1
    assert sizes[1] < 1_000_000


def test_what_two_texts_share_is_counted_as_often_as_both_have_it() -> None:
    assert terms_of("the cat the dog the".split()) == ["the", "cat", "the 1", "dog", "the 2"]
    pool = RougePool(0.7)
    pool.add("the the the the")
    assert pool.nearest("the cat") == (0.0, -1)  # one word in common, however often it stands there
    assert pool.nearest("the the the") == (reference("the the the", ["the the the the"])[0], 0)


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(3)
    texts = [mixed(draw, draw.randint(1, 20)) for _ in range(60)]
    whole, small = RougePool(), RougePool()
    for text in texts[:50]:
        whole.add(text)
        small.add(text)
    expected = [whole.nearest(text)[0] for text in texts[50:]]
    monkeypatch.setattr(rouge_novelty, "CHUNK", 7)
    assert [small.nearest(text)[0] for text in texts[50:]] == expected


def test_an_empty_pool_and_empty_texts() -> None:
    pool = RougePool(0.7)
    assert pool.nearest("anything") == (0.0, -1)
    pool.add("?!")
    assert pool.nearest("anything") == (0.0, -1)
    assert pool.nearest("...") == (0.0, -1)
    assert len(pool) == 1


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
