"""Majority votes over parsed answers."""

import pytest

from potstill.labelling.vote import answer_in, majority


def test_most_votes_win_and_of_equals_the_first_given() -> None:
    vote = majority(["a", "b", "b", "a"])
    assert vote is not None
    assert (vote.answer, vote.confidence, vote.first) == ("a", 0.5, 0)
    assert vote.counts == (("a", 2), ("b", 2))


def test_no_answer_is_no_vote_but_lowers_the_confidence() -> None:
    vote = majority([None, "a", None, "a"])
    assert vote is not None
    assert (vote.confidence, vote.first) == (0.5, 1)
    assert majority([None, None]) is None


@pytest.mark.parametrize(
    ("text", "pattern", "answer"),
    [
        ("so it is 4. The answer is 5. No: the answer is 6.", r"answer is (\d+)", "6"),
        ("4 or 5", r"\d", "5"),
        ("nothing", r"\d", None),
        ('{"b": 1, "a": "ü"}', "", '{"a":"ü","b":1}'),
        (" two   words\n", "", "two words"),
    ],
)
def test_equal_answers_become_equal_texts(text: str, pattern: str, answer: str | None) -> None:
    assert answer_in(text, pattern) == answer
