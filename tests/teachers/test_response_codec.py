"""A response comes back from the journal as it went in, and its key is that of its sampling."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from potstill.teachers.protocol import Request, Response, Sampling
from potstill.teachers.response_codec import interpreted, pack, spelled, storable, tokens_in, unpack, well_formed

CHAT = Request([{"role": "user", "content": "the capital?"}], Sampling())


def test_a_penalty_that_is_none_leaves_keys_as_they_were() -> None:
    assert spelled(Sampling()).keys() == Sampling.__dataclass_fields__.keys() - {"presence_penalty"}
    assert spelled(Sampling(presence_penalty=2.0)) == spelled(Sampling()) | {"presence_penalty": 2.0}


def test_packing_keeps_every_bit() -> None:
    response = Response(
        "héllo",
        "length",
        3,
        2,
        np.array([5, 70_000], np.int32),
        np.array([[1, 2, 3], [4, 5, 60_000]], np.int32),
        np.array([[-0.1, -2.5, -9.0], [-0.001, -7.0, -20.0]], np.float16),
    )
    back = unpack(pack(response))
    assert (back.text, back.finish_reason, back.prompt_tokens, back.completion_tokens) == ("héllo", "length", 3, 2)
    for name in ("token_ids", "top_ids", "top_logprobs"):
        before, after = getattr(response, name), getattr(back, name)
        assert after.dtype == before.dtype
        assert np.array_equal(before, after)
    assert unpack(pack(replace(response, token_ids=None, top_ids=None, top_logprobs=None))).top_ids is None
    assert sum(len(value) for value in pack(response).values() if isinstance(value, bytes)) == 2 * 4 + 6 * 6


@pytest.mark.parametrize(
    ("text", "thoughts", "answer"),
    [
        ("Berlin", "", "Berlin"),
        (" Berlin\n", "", " Berlin\n"),
        ("<think>Ulm? No.</think>\n\nBerlin", "Ulm? No.", "Berlin"),
        ("the prompt opened them</think>Berlin", "the prompt opened them", "Berlin"),
        ("[THINK]hm[/THINK]Berlin", "hm", "Berlin"),
    ],
)
def test_thoughts_are_read_apart_from_the_answer(text: str, thoughts: str, answer: str) -> None:
    read = interpreted(Response(text, "stop"), CHAT)
    assert (read.reasoning, read.text, read.finish_reason) == (thoughts, answer, "stop")


def test_what_the_server_parts_and_what_it_leaves_in_the_text_are_thoughts_both() -> None:
    read = interpreted(Response("<think>b</think>c", "stop", reasoning="a"), CHAT)
    assert (read.reasoning, read.text) == ("a\n\nb", "c")


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (Response("", "stop"), "the answer is empty"),
        (Response(" \n", "stop"), "the answer is empty"),
        (Response("", "stop", reasoning="long thoughts"), "only reasoning: raise max_tokens or turn thinking off"),
        (Response("<think>never ends", "stop"), "only reasoning"),
        (Response("<think></think>", "stop", reasoning="x"), "only reasoning"),
    ],
)
def test_a_response_without_an_answer_is_lost_and_says_why(written: Response, reason: str) -> None:
    read = interpreted(written, CHAT)
    assert read.finish_reason == "error"
    assert reason in read.text
    assert read.unusable
    assert not read.retryable


def test_thoughts_that_were_cut_are_a_cut_answer() -> None:
    read = interpreted(Response("<think>and on and on", "length"), CHAT)
    assert (read.text, read.finish_reason, read.reasoning) == ("", "length", "and on and on")


def test_text_that_continues_a_raw_prompt_or_was_given_stays_as_it_is() -> None:
    for request in (replace(CHAT, raw="<think>"), replace(CHAT, continuation="")):
        for text in ("", "a</think>b"):
            assert interpreted(Response(text, "stop"), request).text == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [("half \ud83d", "half \ufffd"), ("\ud83d\ude00", "\N{GRINNING FACE}"), ("\udc00x", "\ufffdx"), ("é", "é")],
)
def test_half_a_character_is_replaced(text: str, kept: str) -> None:
    assert well_formed(text) == kept
    assert storable(Response("a", "stop", reasoning=text)).reasoning == kept
    assert unpack(pack(storable(Response(text, "stop")))).text == kept


@pytest.mark.parametrize(
    ("said", "tokens"),
    [
        (12, 12),
        ("12", 12),
        (12.0, 12),
        (-1, None),
        (None, None),
        ("many", None),
        (float("inf"), None),
        (float("nan"), None),
        (int("9" * 30), None),
        (10**400, None),
        ([3], None),
        ({}, None),
        (np.int64(4), 4),
    ],
)
def test_a_number_of_tokens_is_read_or_unknown(said: Any, tokens: int | None) -> None:
    assert tokens_in(said) == tokens
    assert storable(Response("a", "stop", said, said)).prompt_tokens == (tokens or 0)


def test_a_teacher_that_gives_no_text_has_failed() -> None:
    assert "gave no text but NoneType" in storable(Response(None, "stop")).text  # type: ignore[arg-type]


def test_an_answer_that_can_not_be_used_is_kept_as_such() -> None:
    refusal = Response("refused", "error", 3, 4, retryable=False, unusable=True, adapted=("seed left out",))
    assert unpack(pack(refusal)) == refusal
    assert unpack(pack(Response("a", "stop", reasoning="b"))) == Response("a", "stop", reasoning="b")


@pytest.mark.parametrize("text", ["", " \n", "\u00a0", "\u200b", "\ufeff", "\x00", "\u2060\u200d\n"])
def test_an_answer_that_nobody_sees_is_no_answer(text: str) -> None:
    assert interpreted(Response(text, "stop", 3, 2), CHAT).finish_reason == "error"
