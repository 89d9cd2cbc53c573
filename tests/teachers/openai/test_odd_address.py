"""Where an endpoint is: addresses, keys and redirects, in all forms that servers have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from odd_server import KEY, Answer, Asked, ask, fine, odd_server, one_odd, refused, said
from potstill.errors import BadInput
from potstill.teachers.openai.endpoint import Endpoint
from potstill.teachers.openai.pool import Pool

pytestmark = pytest.mark.usefixtures("quick")


def test_a_server_that_moves_under_its_name_is_asked_nothing_again(tmp_path: Path) -> None:
    with odd_server(fine) as first, odd_server(fine) as second:
        ask(Endpoint(first.url, "m", served_as="cluster"), tmp_path)
        ask(Endpoint(second.url, "m", served_as="cluster"), tmp_path)
        assert (len(first.asked), len(second.asked)) == (3, 0)
        ask(Pool([Endpoint(first.url, "m", served_as="cluster")]), tmp_path)
        ask(Pool([Endpoint(second.url, "m", served_as="cluster")]), tmp_path)
        assert (len(first.asked), len(second.asked)) == (6, 0)


def test_the_old_address_is_a_name_too(tmp_path: Path) -> None:
    with odd_server(fine) as first, odd_server(fine) as second:
        ask(Endpoint(first.url, "m"), tmp_path)
        ask(Endpoint(second.url, "m", served_as=f"{first.url}/"), tmp_path)
    assert (len(first.asked), len(second.asked)) == (3, 0)


def test_an_address_with_a_version_has_it_behind_the_path_and_the_key_in_a_header_of_its_own(tmp_path: Path) -> None:
    with odd_server(fine) as server:
        address = server.url.replace("/v1", "/openai/deployments/d/?api-version=2024-06-01")
        ask(Endpoint(address, "d"), tmp_path, 1)
        ask(Endpoint(server.url, "m", api_key_header="X-Key"), tmp_path, 1)
    azure, other = server.asked
    assert azure.path == "/openai/deployments/d/chat/completions?api-version=2024-06-01"
    assert azure.headers["api-key"] == KEY
    assert other.headers["X-Key"] == KEY
    assert all("Authorization" not in asked.headers for asked in server.asked)


def test_no_proxy_is_used_for_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with odd_server(fine) as server:
        for host in ("127.0.0.1", "localhost"):
            actual, _ = ask(Endpoint(server.url.replace("127.0.0.1", host), "m", max_retries=0), tmp_path / host, 1)
            assert actual[0].text == "fine"


def test_who_pays_is_told_to_openai_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "org-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Own: org-secret")
    with odd_server(fine) as server:
        ask(Endpoint(server.url, "m"), tmp_path, 1)
    assert "org-secret" not in json.dumps(dict(server.asked[0].headers))
    assert Endpoint("https://api.openai.com/v1", "m").wire().connection.headers["OpenAI-Project"] == "org-secret"


def test_a_key_goes_over_plain_http_to_this_machine_alone_or_by_consent() -> None:
    def key(address: str, **fields: Any) -> str | None:
        return Endpoint(address, "m", **fields).wire().connection.headers.get("Authorization")

    assert key("http://node7:8000/v1") is None
    assert key("http://10.0.0.7/v1") is None
    bearer = f"Bearer {KEY}"
    assert key("http://node7:8000/v1", insecure=True) == bearer
    assert key("https://node7/v1") == key("http://127.0.0.1/v1") == key("http://[::1]:1/v1") == bearer
    assert key("https://node7/v1", api_key_env="") is None


def redirect(status: int, target: str) -> Answer:
    return status, b"", {"Location": target}


def test_a_redirect_within_the_server_is_followed_with_all_that_was_sent(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Answer:
        return said("fine") if asked.path == "/v2/chat" else redirect(308, "/v2/chat")

    with odd_server(answer) as server:
        actual, _ = ask(Endpoint(server.url, "m"), tmp_path, 1)
    assert actual[0].text == "fine"
    assert server.asked[1].body == server.asked[0].body
    assert server.asked[1].headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_to_another_server_is_followed_only_if_allowed_and_takes_the_prompt_alone(
    status: int, tmp_path: Path
) -> None:
    with (
        odd_server(fine) as other,
        odd_server(lambda _: redirect(status, f"{other.url}/chat/completions?a=b")) as server,
    ):
        with pytest.raises(BadInput, match=r"another server: .*redirect_hosts=\('127.0.0.1',\)"):
            ask(Endpoint(server.url, "m", concurrency=1), tmp_path, 3)
        assert (len(server.asked), len(other.asked)) == (1, 0)
        headers = {"X-Title": "t"}
        actual, _ = ask(Endpoint(server.url, "m", redirect_hosts=("127.0.0.1",), extra_headers=headers), tmp_path, 1)
        assert actual[0].text == "fine"
        assert not {"Authorization", "X-Title"} & set(other.asked[0].headers)


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_would_take_the_prompt_away_is_named(status: int, tmp_path: Path) -> None:
    with (
        odd_server(lambda _: redirect(status, "/v2?token=secret")) as server,
        pytest.raises(BadInput, match=rf"redirects \({status}\) to http://.*/v2, .*give that address as base_url") as e,
    ):
        ask(Endpoint(server.url, "m", concurrency=1), tmp_path, 3)
    assert "secret" not in str(e.value)


def test_redirects_in_a_circle_end(tmp_path: Path) -> None:
    with odd_server(lambda _: redirect(307, "/v1/chat/completions")) as server, pytest.raises(BadInput, match="circle"):
        ask(Endpoint(server.url, "m", concurrency=1), tmp_path, 1)


def test_a_key_that_a_server_repeats_is_no_data(tmp_path: Path) -> None:
    with odd_server(lambda asked: said(f"you are {asked.headers['Authorization']}", reasoning=KEY)) as server:
        actual, _ = ask(Endpoint(server.url, "m"), tmp_path, 1)
    assert (actual[0].text, actual[0].reasoning) == ("you are Bearer ***", "***")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


@pytest.mark.parametrize("key", ["k", "token", "EMPTY", "none", "password", "lm-studio", "sk-no-key-required"])
def test_a_key_that_is_a_word_is_no_secret_in_answers_and_hides_no_refusal(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)

    def answer(asked: Asked) -> Answer:
        if "max_tokens" in asked.body:
            return refused(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return said(f"the word {key}")

    with odd_server(answer) as server:
        actual, _ = ask(Endpoint(server.url, "m"), tmp_path)
    assert [actual[n].text for n in range(3)] == [f"the word {key}"] * 3
    with odd_server(lambda _: refused(401, f"wrong key {key}")) as server, pytest.raises(BadInput, match=r"key \*\*\*"):
        ask(Endpoint(server.url, "m"), tmp_path / "refused")


@pytest.mark.parametrize("place", ["http://x:99999/v1", "http://127.0.0.1:nowhere/"])
def test_a_redirect_to_what_is_no_address_is_named(place: str, tmp_path: Path) -> None:
    with (
        odd_server(one_odd((307, {}, {"Location": place}))) as server,
        pytest.raises(BadInput, match="no address"),
    ):
        ask(Endpoint(base_url=server.url, model="m"), tmp_path)


def test_a_key_that_a_server_repeats_in_a_redirect_or_a_list_is_in_no_message(tmp_path: Path) -> None:
    moved = (307, {}, {"Location": f"http://elsewhere.example/{KEY}"})
    for answer, models in ((moved, None), (refused(404, "unknown"), (200, {"data": [{"id": KEY}]}))):
        with odd_server(lambda asked, answer=answer: answer, models) as server, pytest.raises(BadInput) as caught:
            ask(Endpoint(base_url=server.url, model="m"), tmp_path)
        assert KEY not in str(caught.value) and "***" in str(caught.value)


@pytest.mark.parametrize("odd", [" {}", "{} ", "{}\n", "{}\u200b", "\u202e{}"])
def test_an_address_with_what_can_not_be_seen_is_refused_by_the_plan(odd: str) -> None:
    problems = list(Endpoint(base_url=odd.format("http://127.0.0.1/v1"), model="m").check())
    assert any("base_url" in problem.message for problem in problems)
