from __future__ import annotations

import numpy as np
import pytest

from potstill.errors import BadInput
from potstill.exporting.encoders.probe import TextAnswers, distances, judge
from potstill.exporting.verdict import NotDeployableError

SURE = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.0, 0.1, 0.9]])
TOKENS = ((1, 2), (1, 3), (1, 4))


def answers(said, tokens=TOKENS):
    return TextAnswers(np.array(said, dtype=np.float64), tokens, "it 1.0")


def test_the_distance_of_classes_is_the_probability_that_moves():
    assert distances("classes", SURE, SURE)[0].tolist() == pytest.approx([0, 0.8, 0.9])


def test_the_distance_of_vectors_does_not_depend_on_their_length():
    actual = distances("vectors", np.array([[2.0, 0]]), np.array([[5.0, 0], [0, 1], [-1, 0]]))
    assert actual[0].tolist() == pytest.approx([0, 2**0.5, 2])


def test_the_same_answers_pass_whatever_the_tolerance():
    figures = judge("classes", answers(SURE), answers(SURE), 1e-9)
    assert figures["change, as a share"] == 0 and figures["equal classes"] == 1 and figures["probe texts"] == 3


def test_a_change_is_held_against_what_lies_between_texts():
    """A model that is unsure of everything moves little, and yet all that it says may be lost."""
    unsure = 1 / 3 + (SURE - 1 / 3) * 0.01
    for before in (SURE, unsure):
        constant = np.repeat(before.mean(0, keepdims=True), 3, axis=0)
        with pytest.raises(
            NotDeployableError,
            match=r"it 1\.0 move by .*% of what lies between texts, .* than 25.*texts of its task as probe=",
        ):
            judge("classes", answers(before), answers(constant), 0.25)
    moved = judge("classes", answers(unsure), answers(unsure + np.array([0.0005, -0.0005, 0])), 0.25)
    assert moved["change, as a share"] == pytest.approx(
        0.0005 / distances("classes", unsure, unsure)[[0, 0, 1], [1, 2, 2]].mean()
    )


def test_few_classes_may_change_and_others_only_where_they_hardly_led():
    many = np.repeat(SURE, 20, axis=0)
    tokens = tuple((number,) for number in range(60))
    close, other = many.copy(), many.copy()
    close[:20], other[:20] = [0.51, 0.49, 0], [0.49, 0.51, 0]
    other[20:23] = [0.9, 0.1, 0]
    actual = judge("classes", answers(close, tokens), answers(other, tokens), 0.1)
    assert actual["equal classes"] == 37 / 60 and actual["change, as a share"] < 0.1
    with pytest.raises(NotDeployableError, match=r"names another class for 3 of 60 probe texts, .* by up to 0\.8"):
        judge("classes", answers(close, tokens), answers(other, tokens), 0.04)


def test_vectors_are_told_by_their_mean_cosine():
    figures = judge("vectors", answers(SURE), answers(SURE * 3), 0.01)
    assert figures["mean cosine"] == pytest.approx(1)
    with pytest.raises(NotDeployableError, match="of what lies between texts"):
        judge("vectors", answers(SURE), answers(SURE[::-1]), 0.25)


def test_a_text_that_is_read_otherwise_is_told():
    with pytest.raises(NotDeployableError, match=r"reads probe text 1 as \[9\]... and the model's as \[1, 3\]"):
        judge("classes", answers(SURE), answers(SURE, ((1, 2), (9,), (1, 4))), 0.5)


def test_numbers_that_are_not_finite_are_told():
    with pytest.raises(NotDeployableError, match=r"it 1\.0 gives 1 numbers that are not finite"):
        judge("vectors", answers(SURE), answers([[np.nan, 0, 0], *SURE[1:].tolist()]), 0.5)


def test_a_model_that_says_the_same_to_all_texts_can_not_be_compared():
    with pytest.raises(BadInput, match=r"says the same to all probe texts.*give texts of its task as probe="):
        judge("classes", answers([SURE[0]] * 3), answers([SURE[0]] * 3), 0.5)
