"""One refusal is its row's, many equal ones in a row are everyone's."""

from __future__ import annotations

import pytest

from potstill.teachers.openai.outcome import EVERYONES, EVERYONES_BY_MODERATION, Refusal, Refusals


def count(*refusals: Refusal) -> int | None:
    """Return after how many the refusals are everyone's, None for never."""
    counter = Refusals()
    return next((number for number, one in enumerate(refusals, 1) if counter.are_everyones(one)), None)


@pytest.mark.parametrize("status", [400, 403, 404, 405, 422])
def test_equal_refusals_are_everyones_after_some(status: int) -> None:
    assert count(*[Refusal(status, "no such thing")] * 100) == EVERYONES


def test_equal_means_equal_but_for_quotes_numbers_and_names_of_requests() -> None:
    texts = [f"bad value '{n}' in row {n} (request 8f3a{n:08x})" for n in range(100)]
    assert count(*[Refusal(400, text) for text in texts]) == EVERYONES


def test_an_answer_between_them_says_that_they_are_of_rows() -> None:
    counter = Refusals()
    for _ in range(50):
        assert not any(counter.are_everyones(Refusal(400, "no")) for _ in range(EVERYONES - 1))
        counter.answered()


def test_different_refusals_are_of_rows() -> None:
    words = [f"{'abcdefghij'[n % 10] * 5} is wrong" for n in range(100)]
    assert count(*[Refusal(400, text) for text in words]) is None


def test_flagged_rows_are_expected_in_stretches() -> None:
    flagged = Refusal(403, "Input was flagged by moderation: harassment")
    assert count(*[flagged] * 100) == EVERYONES_BY_MODERATION > EVERYONES


def test_prompts_that_are_too_long_are_never_everyones_but_answers_that_would_be_are() -> None:
    assert count(*[Refusal(400, f"maximum context length is 9 tokens, got {n}") for n in range(500)]) is None
    said = "max_tokens is too large: 9000. This model's maximum context length is 4096 tokens"
    assert count(*[Refusal(400, said)] * 100) == EVERYONES
