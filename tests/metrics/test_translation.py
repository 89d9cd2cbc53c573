"""BLEU and chrF."""

import math

import pytest

from potstill.metrics import translation


def test_bleu_is_the_geometric_mean_of_the_shares_of_ngrams_found():
    result = translation.corpus_scores(["the cat sat on the mat"], ["the cat sat on a mat"])
    assert result.bleu == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)
    assert result.length_ratio == 1 and "tok:13a" in result.signature
    assert translation.corpus_scores(["a b c d e"], ["a b c d e"]).chrf == 100


def test_short_translations_pay_the_brevity_penalty():
    result = translation.corpus_scores(["a b c d"], ["a b c d e f"])
    assert result.bleu == pytest.approx(100 * math.exp(1 - 6 / 4)) and result.length_ratio == pytest.approx(4 / 6)


def test_case_counts_unless_told_otherwise():
    assert translation.corpus_scores(["A B C D E"], ["a b c d e"]).bleu < 5
    assert translation.corpus_scores(["A B C D E"], ["a b c d e"], lowercase=True).bleu == pytest.approx(100)


def test_a_sentence_without_a_fourgram_in_common_still_has_a_score():
    near, far = (
        translation.sentence_bleu(text, "a man in a red shirt") for text in ("a man in a hat", "a dog in the snow")
    )
    assert 0 < far < near < 100
    assert translation.sentence_bleu("snow", "snow") == pytest.approx(100)


def test_the_missing_package_is_named_with_the_pip_line(monkeypatch):
    assert translation.missing_sacrebleu("x") is None
    monkeypatch.setattr(translation.importlib.util, "find_spec", lambda name: None)
    assert 'pip install "potstill[data]"' in str(translation.missing_sacrebleu("EvaluateTranslation"))
