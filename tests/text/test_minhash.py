"""MinHash proposes, exact resemblance decides."""

from __future__ import annotations

import random

import pytest

from potstill.text.minhash import MOST_MISSED, Alike, NearCopies, bands


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.95, 1.0])
def test_the_bands_miss_few_pairs_at_the_threshold(threshold: float) -> None:
    count = bands(threshold, 128)
    assert 128 % count == 0
    assert (1 - threshold ** (128 // count)) ** count <= MOST_MISSED
    fewer = [number for number in range(1, count) if 128 % number == 0]
    assert all((1 - threshold ** (128 // number)) ** number > MOST_MISSED for number in fewer)


def test_the_first_alike_is_named_and_the_decision_is_exact() -> None:
    texts = ["a b c d", "x", "a b c d e", "a b c d", "a b x c d"]
    actual = list(NearCopies(0.75, 2).find(texts, texts.__getitem__))
    assert actual == [None, None, Alike(0, 0.75), Alike(0, 1.0), None]


def test_pairs_well_above_the_threshold_are_all_found() -> None:
    draw = random.Random(0)
    texts = [" ".join(str(draw.randrange(10_000)) for _ in range(30)) for _ in range(300)]
    copies = [text.rsplit(" ", 1)[0] + " changed" for text in texts]
    actual = list(NearCopies(0.7, 2).find(texts + copies, (texts + copies).__getitem__))
    assert actual[:300] == [None] * 300
    assert [alike and alike.number for alike in actual[300:]] == list(range(300))


def test_the_seed_gives_the_same_answer() -> None:
    texts = ["a b c", "a b c d", "b c d e"] * 3
    runs = [list(NearCopies(0.5, 2, seed=seed).find(texts, texts.__getitem__)) for seed in (1, 1)]
    assert runs[0] == runs[1]
