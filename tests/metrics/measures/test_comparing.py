"""Two models by a measure of all rows together."""

import numpy as np
import pytest
from sacrebleu.metrics import BLEU as SacreBLEU
from sacrebleu.significance import PairedTest

from potstill.errors import BadInput
from potstill.metrics import BLEU, ExactMatch, compare_measure
from potstill.metrics.measures.measure import as_measure

WORDS = "the cat sat on a mat and then it ran off to see who had come".split()


def texts(count, errors, seed):
    rng = np.random.default_rng(seed)
    golds = [" ".join(rng.choice(WORDS, 12)) for _ in range(count)]
    answers = []
    for gold in golds:
        words = gold.split()
        for place in rng.choice(12, errors, replace=False):
            words[place] = "wrong"
        answers.append(" ".join(words))
    return answers, golds


def test_the_difference_of_bleu_and_its_p_are_those_of_sacrebleu():
    worse, golds = texts(60, 4, 0)
    better, _ = texts(60, 2, 0)
    comparison = compare_measure(BLEU(), better, worse, golds)
    named = [("worse", worse), ("better", better)]
    _, scores = PairedTest(named, {"BLEU": SacreBLEU(references=[golds])}, None, "bs", 1000)()
    first, second = scores["BLEU"]
    assert comparison.difference.value == pytest.approx(second.score - first.score)
    assert comparison.p == pytest.approx(second.p_value, abs=0.01)
    assert comparison.difference.low > 0


def test_models_that_answer_alike_do_not_differ():
    answers, golds = texts(20, 3, 1)
    comparison = compare_measure(BLEU(), answers, answers, golds)
    assert (comparison.difference.value, comparison.p, comparison.constant) == (0.0, 1.0, True)


def test_a_mean_is_compared_as_well_and_rows_that_do_not_fit_are_refused():
    comparison = compare_measure(ExactMatch(), ["a", "b", "c", "d"], ["a", "x", "y", "z"], ["a", "b", "c", "d"])
    assert comparison.difference.value == 0.75
    with pytest.raises(BadInput, match="1 answers of the first model, 2 of the second"):
        compare_measure(BLEU(), ["a"], ["a", "b"], ["a"])
    with pytest.raises(BadInput, match="at least one row"):
        compare_measure(BLEU(), [], [], [])


def test_a_row_of_which_the_measure_says_nothing_is_no_row_of_score_0():
    def half(answer, gold):
        return None if answer == "?" else float(answer == gold)

    comparison = compare_measure(as_measure(half), ["?", "1", "1"], ["1", "1", "0"], ["1"] * 3)
    assert comparison.difference.value == 0.5
    with pytest.raises(BadInput, match="no row a score of both"):
        compare_measure(as_measure(half), ["?", "1"], ["1", "?"], ["1"] * 2, clusters=["a", "b"])
    with pytest.raises(BadInput, match="nothing to compare"):
        compare_measure(as_measure(lambda answer, gold: float("nan")), ["1"], ["1"], ["1"])
