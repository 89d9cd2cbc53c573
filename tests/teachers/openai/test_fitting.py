"""A server's refusal teaches how it wants to be asked, and only that; what cannot be changed stays refused."""

from __future__ import annotations

from typing import Any

import pytest

from potstill.teachers.openai.fitting import Fit, with_role
from potstill.teachers.openai.outcome import Refusal
from potstill.teachers.protocol import Response

CHAT = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]
FIELDS: dict[str, Any] = {
    "model": "m",
    "temperature": 0.0,
    "top_p": 1.0,
    "max_tokens": 9,
    "messages": CHAT,
    "seed": 5,
    "stop": ["END"],
}


@pytest.mark.parametrize(
    ("said", "parameter", "gone"),
    [
        ("Unsupported parameter: 'seed' is not supported with this model.", "seed", {"seed"}),
        ("Unrecognized request argument supplied: seed", "", {"seed"}),
        (
            '{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted"}]}',
            "",
            {"seed"},
        ),
        ("{'detail': [{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs'}]}", "", {"seed"}),
        ("property 'seed' is unsupported", "", {"seed"}),
        ('Invalid JSON payload received. Unknown name "seed": Cannot find field.', "", {"seed"}),
        ("Unknown parameter: 'seed'. Supported parameters: temperature, top_p, stop.", "", {"seed"}),
        (
            "'temperature' does not support 0.0 with this model. Only the default (1) value is supported.",
            "temperature",
            {"temperature"},
        ),
        ("`temperature` is deprecated for this model.", "", {"temperature"}),
        ("`temperature` and `top_p` cannot both be specified for this model. Please use only one.", "", {"top_p"}),
        ("Unsupported parameter: 'stop' is not supported with this model.", "", {"stop"}),
        ("Unsupported parameters: seed, top_p", "", {"seed", "top_p"}),
        ("Argument not supported on this model: stop", "", {"stop"}),
        ("This model doesn't support the stopSequences field", "", {"stop"}),
        ("topP is not supported", "", {"top_p"}),
        ("Invalid field: seed", "", {"seed"}),
        ("body.seed: extra fields not permitted", "", {"seed"}),
        ("top_p is not allowed when temperature is 0", "", {"top_p"}),
    ],
)
def test_a_field_that_a_server_does_not_know_is_left_out(said: str, parameter: str, gone: set[str]) -> None:
    fit = Fit()
    assert fit.learn(Refusal(400, said, parameter=parameter), fit.fitted(FIELDS))
    assert FIELDS.keys() - fit.fitted(FIELDS).keys() == gone
    assert all(any(name in words for words in fit.learned) for name in gone)


@pytest.mark.parametrize(
    "said",
    [
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        "this model does not support max_tokens, use max_completion_tokens",
    ],
)
def test_the_longest_answer_is_called_by_its_new_name(said: str) -> None:
    fit = Fit()
    assert fit.learn(Refusal(400, said, parameter="max_tokens"), fit.fitted(FIELDS))
    assert fit.fitted(FIELDS)["max_completion_tokens"] == 9
    assert "max_tokens" not in fit.fitted(FIELDS)


@pytest.mark.parametrize(
    "said",
    [
        "System role not supported",
        "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
        "Conversation roles must alternate user/assistant/user/assistant/...",
        "Developer instruction is not enabled for this model",
    ],
)
def test_a_system_prompt_that_is_refused_is_said_by_the_user(said: str) -> None:
    fit = Fit()
    assert fit.learn(Refusal(400, said), fit.fitted(FIELDS))
    assert fit.fitted(FIELDS)["messages"] == [{"role": "user", "content": "be brief\n\nhello"}]
    assert not fit.learn(Refusal(400, said), fit.fitted(FIELDS)), "nothing is left to be changed"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, "Input was flagged by moderation"),
        (400, "Your prompt asks about a seed, which is not allowed by our policy"),
        (400, "The temperature of this text is not permitted: content policy"),
        (400, "temperature must be between 0.01 and 1"),
        (
            400,
            "'max_tokens' or 'max_completion_tokens' is too large: 9. This model's maximum context length is 8 tokens",
        ),
        (400, "Unsupported parameter: 'logit_bias'"),
        (400, "I can not stop here: this is not supported"),
        (403, "Unsupported parameter: 'seed'"),
        (400, ""),
    ],
)
def test_other_refusals_change_nothing(status: int, said: str) -> None:
    fit = Fit()
    assert not fit.learn(Refusal(status, said), fit.fitted(FIELDS))
    assert fit.fitted(FIELDS) == FIELDS


def test_learning_ends_whatever_the_server_says() -> None:
    fit, rounds = Fit(), 0
    everything = "unsupported: 'max_tokens' use max_completion_tokens; system role; seed temperature top_p 'stop'"
    while fit.learn(Refusal(400, everything), fit.fitted(FIELDS)):
        rounds += 1
        assert rounds < 20


def test_a_stop_that_was_left_out_still_ends_the_answer() -> None:
    fit = Fit(without=frozenset({"stop"}))
    assert fit.finish(Response("a END b", "length"), FIELDS) == Response("a ", "stop")
    assert Fit().finish(Response("a END b", "stop"), FIELDS).text == "a END b"


def test_what_was_changed_stands_in_the_answer() -> None:
    fit = Fit()
    fit.learn(Refusal(400, "Unsupported parameter: 'seed'"), FIELDS)
    assert fit.finish(Response("a", "stop"), FIELDS).adapted == ("seed left out",)


def test_the_user_says_how_requests_are_written() -> None:
    fit = Fit("max_completion_tokens", frozenset({"seed", "temperature"}), "developer", {"top_k": 1})
    sent = fit.fitted(FIELDS)
    assert sent.keys() == {"model", "top_p", "max_completion_tokens", "messages", "stop", "top_k"}
    assert sent["messages"][0] == {"role": "developer", "content": "be brief"}


def test_a_system_prompt_without_a_user_behind_it_becomes_the_users() -> None:
    assert with_role(CHAT[:1], "user") == [{"role": "user", "content": "be brief"}]
    assert with_role(CHAT[1:], "user") == CHAT[1:]
