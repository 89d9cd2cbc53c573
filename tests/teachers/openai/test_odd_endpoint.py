"""Behind an endpoint may stand anything: what it says costs no other row, and nothing is sent where it should not."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from odd_server import Answer, Asked, ask, odd_server, one_odd, refused, said
from potstill.engine.encoding import digest
from potstill.errors import BadInput, PotstillError
from potstill.teachers.openai import connection
from potstill.teachers.openai.budget import BudgetSpent
from potstill.teachers.openai.endpoint import Endpoint
from potstill.teachers.openai.outcome import EVERYONES

pytestmark = pytest.mark.usefixtures("quick")


def body(text: str, usage: str = '{"prompt_tokens": 3, "completion_tokens": 2}') -> Answer:
    message = f'{{"choices": [{{"message": {{"content": {text}}}, "finish_reason": "stop"}}], "usage": {usage}}}'
    return 200, message.encode()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (body(r'"half \ud83d"'), "half \ufffd"),
        (body('"x"', '{"prompt_tokens": 1e999, "completion_tokens": 1}'), "x"),
        (body('"x"', f'{{"prompt_tokens": {"9" * 30}, "completion_tokens": -1}}'), "x"),
        (body('"x"', f'{{"prompt_tokens": {"9" * 5000}}}'), "x"),
        (body('"x"', '"many"'), "x"),
        (said([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Berlin"}]), "Berlin"),
        (said("<think>Ulm?</think>Berlin"), "Berlin"),
        (said("Berlin", "eos"), "Berlin"),
    ],
)
def test_an_odd_answer_is_read_and_kept(answer: Answer, text: str, tmp_path: Path) -> None:
    with odd_server(one_odd(answer)) as server:
        teacher = Endpoint(server.url, "m", max_retries=0, concurrency=2)
        actual, _ = ask(teacher, tmp_path, 6)
        assert [actual[n].text for n in range(6)] == ["fine", text, "fine", "fine", "fine", "fine"]
        assert ask(teacher, tmp_path, 6)[0][1].text == text
        assert len(server.asked) == 6, "the second time nothing is asked"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (said(None, reasoning_content="long"), "no content, only reasoning"),
        (said("", reasoning="long"), "no content, only reasoning"),
        (said(""), "the answer is empty"),
        (said(None), "the answer is empty"),
        (said(None, refusal="I can't"), "the model refused: I can't"),
        (said("half", "content_filter"), "content_filter"),
        (said(None, "tool_calls", tool_calls=[{}]), "called a tool"),
    ],
)
def test_an_answer_that_can_not_be_used_is_lost_at_once_and_not_paid_for_twice(
    answer: Answer, reason: str, tmp_path: Path
) -> None:
    with odd_server(one_odd(answer)) as server:
        teacher = Endpoint(server.url, "m", max_retries=5)
        for _ in range(2):
            actual, notes = ask(teacher, tmp_path)
            assert reason in actual[1].text
            assert (actual[0].text, actual[1].finish_reason, actual[2].text) == ("fine", "error", "fine")
        assert len(server.asked) == 3
        assert notes["usage"]["calls"] == 0


@pytest.mark.parametrize(
    "answer",
    [
        (200, b'{"choices": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        (200, b"not json"),
        (200, {"choices": []}),
        (200, {"error": {"message": "try later", "code": 502}}),
        said("x", "error"),
    ],
)
def test_an_answer_that_can_not_be_read_is_sent_again_and_then_lost_alone(answer: Answer, tmp_path: Path) -> None:
    with odd_server(one_odd(answer)) as server:
        actual, _ = ask(Endpoint(server.url, "m", max_retries=1), tmp_path)
    assert (actual[0].text, actual[2].text) == ("fine", "fine")
    assert actual[1].finish_reason == "error"
    assert actual[1].retryable
    assert len(server.asked) == 4


def test_an_error_inside_a_200_is_a_refusal_where_it_says_so(tmp_path: Path) -> None:
    with odd_server(one_odd((200, {"error": {"message": "bad prompt", "code": 400}}))) as server:
        actual, _ = ask(Endpoint(server.url, "m"), tmp_path)
    assert (actual[1].text, actual[1].retryable, len(server.asked)) == ("400: bad prompt", False, 3)
    with (
        odd_server(lambda _: (200, {"error": {"message": "no", "type": "authentication_error"}})) as server,
        pytest.raises(BadInput, match="check the key"),
    ):
        ask(Endpoint(server.url, "m"), tmp_path)


@pytest.mark.parametrize(
    "answer",
    [
        said(None, usage={"prompt_tokens": 100, "completion_tokens": 900}, reasoning="x"),
        (200, {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 900}}),
        (200, b"not json"),
    ],
)
def test_what_was_paid_for_counts_in_the_budget_read_or_not(answer: Answer, tmp_path: Path) -> None:
    with odd_server(lambda _: answer) as server:
        teacher = Endpoint(server.url, "m", concurrency=2, max_retries=5, max_tokens_total=4_000)
        with pytest.raises(BudgetSpent):
            ask(teacher, tmp_path, 100)
    stated = 1000 if b"json" not in (answer[1] if isinstance(answer[1], bytes) else b"") else 100
    assert len(server.asked) * stated <= 4_000 + stated


def test_tries_that_were_paid_for_and_not_read_stand_in_the_figures(tmp_path: Path) -> None:
    with odd_server(lambda _: (200, {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}})) as server:
        _, notes = ask(Endpoint(server.url, "m", max_retries=2), tmp_path, 1)
    assert (notes["usage"]["prompt_tokens"], notes["usage"]["completion_tokens"]) == (21, 15)


@pytest.mark.parametrize("status", [400, 403, 404, 422])
@pytest.mark.parametrize("place", [0, 4, 9])
def test_one_refused_row_is_lost_alone_wherever_it_stands(status: int, place: int, tmp_path: Path) -> None:
    def answer(asked: Asked) -> Answer:
        return refused(status, "Input was flagged") if asked.prompt == f"question {place}" else said("ok")

    with odd_server(answer) as server:
        actual, _ = ask(Endpoint(server.url, "m", concurrency=1), tmp_path, 10)
    assert [n for n in range(10) if actual[n].finish_reason == "error"] == [place]
    assert "Input was flagged" in actual[place].text
    assert len(server.asked) == 10


def test_the_same_refusal_of_all_ends_the_step_and_is_named(tmp_path: Path) -> None:
    with (
        odd_server(lambda _: refused(400, "logit_bias is wrong here")) as server,
        pytest.raises(BadInput, match="refuses request after request alike, with 400: logit_bias is wrong here"),
    ):
        ask(Endpoint(server.url, "m", concurrency=1), tmp_path, 100)
    assert len(server.asked) == EVERYONES


def test_a_key_without_rights_is_told_from_a_flagged_row_by_their_number(tmp_path: Path) -> None:
    with (
        odd_server(lambda _: refused(403, "Forbidden")) as server,
        pytest.raises(BadInput, match="403: Forbidden; check the key in the variable OPENAI_API_KEY"),
    ):
        ask(Endpoint(server.url, "m", concurrency=1), tmp_path, 100)
    assert len(server.asked) == EVERYONES


def test_a_wrong_address_is_seen_at_the_first_row(tmp_path: Path) -> None:
    nothing = refused(404, "Not Found")
    with odd_server(lambda _: nothing, nothing) as server, pytest.raises(BadInput, match="check base_url"):
        ask(Endpoint(server.url, "m", concurrency=1), tmp_path, 100)
    assert len(server.asked) == 1


def newest(asked: Asked) -> Answer:
    """Answer as a model does that takes next to nothing."""
    if "max_tokens" in asked.body:
        return refused(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    if "temperature" in asked.body:
        return refused(400, "'temperature' does not support 0.0 with this model.", param="temperature")
    if any(message["role"] == "system" for message in asked.body["messages"]):
        return refused(400, "System role not supported")
    return said("ok")


def test_a_server_that_takes_less_is_asked_as_it_likes_and_it_is_said_once(tmp_path: Path) -> None:
    with odd_server(newest) as server:
        teacher = Endpoint(server.url, "m", concurrency=4, max_retries=0)
        actual, notes = ask(teacher, tmp_path, 100, system="be brief")
    assert {response.text for response in actual.values()} == {"ok"}
    assert len(server.asked) < 120
    (warning,) = notes["warnings"]
    assert "max_tokens sent as max_completion_tokens, temperature left out, the system prompt put before" in warning
    assert server.bodies[-1]["max_completion_tokens"] == 100
    assert server.bodies[-1]["messages"][0]["content"].startswith("be brief\n\nquestion")
    _, notes = ask(teacher, tmp_path, 100, system="be brief")
    assert notes["usage"]["calls"] == 0
    assert notes["warnings"] == [warning], "what the journal gives is still what was asked otherwise"


def test_the_user_says_how_a_server_is_asked(tmp_path: Path) -> None:
    with odd_server(newest) as server:
        teacher = Endpoint(
            server.url,
            "m",
            system="be brief",
            max_tokens_as="max_completion_tokens",
            without=("temperature", "top_p"),
            system_role="user",
            extra_body={"reasoning_effort": "low"},
            extra_headers={"X-Title": "t", "X-Api-Key": "hidden-in-a-header"},
        )
        _, notes = ask(teacher, tmp_path, 1)
    (asked,) = server.asked
    assert asked.body.keys() == {"model", "max_completion_tokens", "messages", "reasoning_effort"}
    assert asked.headers["X-Title"] == "t"
    assert asked.headers["X-Api-Key"] == "hidden-in-a-header"
    assert "warnings" not in notes
    assert "hidden" not in repr(teacher) + repr(teacher.identity())


def test_what_changes_the_question_is_in_the_key_and_what_spells_it_is_not() -> None:
    plain = Endpoint("http://a/v1", "m")
    for fields in (
        {"without": ("seed",)},
        {"system_role": "user"},
        {"extra_body": {"top_k": 1}},
        {"extra_headers": {"X-Version": "2"}},
    ):
        assert digest(Endpoint("http://a/v1", "m", **fields)) != digest(plain)  # type: ignore[arg-type]
    for fields in (
        {"max_tokens_as": "max_completion_tokens"},
        {"insecure": True},
        {"redirect_hosts": ("b",)},
        {"api_key_header": "api-key"},
        {"extra_headers": {"Authorization": "x"}},
    ):
        assert digest(Endpoint("http://a/v1", "m", **fields)) == digest(plain)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"extra_body": {"stream": True}}, "'stream' is what Potstill itself writes"),
        ({"without": "seed"}, "a tuple"),
        ({"extra_body": {"a": object()}}, "can't be sent as JSON"),
        ({"system_role": "boss"}, "system_role must be"),
        ({"extra_headers": {"a": "b\nc"}}, "printable ASCII"),
    ],
)
def test_what_can_not_be_sent_is_refused_by_the_plan(fields: Any, word: str) -> None:
    assert word in "; ".join(map(str, Endpoint("http://a/v1", "m", **fields).check()))


def test_a_text_for_which_nothing_is_counted_counts_as_the_most(tmp_path: Path) -> None:
    with odd_server(lambda _: said("a text", usage={"prompt_tokens": 3, "completion_tokens": 0})) as server:
        with pytest.raises(BudgetSpent):
            ask(Endpoint(server.url, "m", concurrency=2, max_tokens_total=1_000), tmp_path, 100)
        assert len(server.asked) <= 10


def test_a_quota_that_is_used_up_ends_the_step_under_whatever_name(tmp_path: Path) -> None:
    for named in (
        {"code": "insufficient_quota"},
        {"type": "insufficient_quota"},
        {"type": "insufficient_quota", "code": 429},
    ):
        with (
            odd_server(lambda _, named=named: refused(429, "no more", **named)) as server,
            pytest.raises(PotstillError, match="quota is used up"),
        ):
            ask(Endpoint(server.url, "m"), tmp_path)


def test_an_answer_that_would_fill_the_memory_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(connection, "LARGEST", 2**20)
    bomb = gzip.compress(b'{"choices": "' + b"x" * (8 * 2**20))
    gzipped = {"Content-Encoding": "gzip"}
    answers: Iterator[Answer] = iter(
        [(200, bomb, gzipped), (200, b"x" * (2 * 2**20)), (200, b"x", {"Content-Encoding": "gzip, gzip"})]
    )
    lock = threading.Lock()

    def answer(_asked: Asked) -> Answer:
        with lock:
            return next(answers, None) or (200, gzip.compress(json.dumps(said("fine")[1]).encode()), gzipped)

    with odd_server(answer) as server:
        actual, _ = ask(Endpoint(server.url, "m", concurrency=1, max_retries=0), tmp_path, 4)
    reasons = [actual[n].text for n in range(4)]
    assert "larger than 1 MiB" in reasons[0]
    assert "larger than 1 MiB" in reasons[1]
    assert "packed as 'gzip, gzip'" in reasons[2]
    assert reasons[3] == "fine"


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "ascii", "undefined", "idna", "hex", "nonsense"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
def test_json_is_unicode_whatever_its_header_says(charset: str, encoding: str, tmp_path: Path) -> None:
    data = json.dumps(said("café")[1], ensure_ascii=False).encode(encoding)
    answer = (200, data, {"Content-Type": f"application/json; charset={charset}"})
    with odd_server(lambda asked: answer) as server:
        actual, _ = ask(Endpoint(base_url=server.url, model="m"), tmp_path, rows=1)
    assert actual[0].text == "café"
