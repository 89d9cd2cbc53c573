from __future__ import annotations

import math

import pytest

from potstill.exporting.probe import Answers
from potstill.exporting.verdict import NotDeployableError, agreeing, judge


def answers(perplexity, continued=((1, 2, 3, 4),), tokens=((5, 6),)):
    return Answers(100 * math.log(perplexity), 100, continued, tokens, "runtime 1.0")


BEFORE = answers(10.0)


def test_the_same_answers_pass_with_their_figures():
    figures = judge(BEFORE, None, answers(10.04), 0.005)
    assert figures["perplexity ratio"] == pytest.approx(1.004)
    assert figures["equal greedy tokens"] == 1.0
    assert figures["probe tokens"] == 100


def test_a_rise_beyond_what_is_normal_is_told_with_both_figures():
    with pytest.raises(NotDeployableError, match=r"from 10 to 13 in runtime 1\.0, by more than 25\.0%.*tolerance="):
        judge(BEFORE, None, answers(13.0), 0.25)


def test_a_fall_beyond_it_tells_as_well_that_it_is_another_model():
    judge(BEFORE, None, answers(9.5), 0.25)
    with pytest.raises(NotDeployableError, match=r"from 10 to 7 in runtime 1\.0, by more than 25\.0%"):
        judge(BEFORE, None, answers(7.0), 0.25)


def test_a_file_that_says_something_else_than_the_weights_in_memory():
    held = answers(11.0)
    judge(BEFORE, held, answers(11.04), 0.25)
    with pytest.raises(NotDeployableError, match=r"perplexity of 10\.5, and the same weights in memory 11"):
        judge(BEFORE, held, answers(10.5), 0.25)


def test_a_perplexity_that_is_no_number():
    with pytest.raises(NotDeployableError, match="weights or kernels are broken"):
        judge(BEFORE, None, Answers(math.nan, 100, ((1, 2, 3, 4),), ((5, 6),), "runtime 1.0"), 10.0)


def test_a_tokenizer_that_reads_otherwise():
    with pytest.raises(NotDeployableError, match=r"reads probe text 0 as \[5, 7\]"):
        judge(BEFORE, None, answers(10.0, tokens=((5, 7),)), 0.005)


def test_all_that_differs_is_told_together():
    with pytest.raises(NotDeployableError, match=r"from 10 to 20.*reads probe text 0"):
        judge(BEFORE, None, answers(20.0, tokens=((5, 7),)), 0.25)


def test_greedy_tokens_count_up_to_where_they_part():
    assert agreeing(BEFORE, answers(10.0, continued=((1, 2, 9, 4),))) == 0.5
    assert agreeing(BEFORE, answers(10.0, continued=((1, 2),))) == 0.5
