"""Only this machine's own browser, with the token, from this very page, is answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from potstill.web.guard import HEADERS, Tokens
from visiting import BASE, stranger, visitor

HERE = {"origin": BASE}


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "localhost.",
        "127.0.0.1:80@evil.example",
        "www.localhost",
        "0.0.0.0",
        "[::2]",
        "",
    ],
)
def test_a_foreign_host_is_refused_also_with_the_cookie(tmp_path: Path, host: str) -> None:
    assert visitor(tmp_path).get("/", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST", "[::1]:8765"])
def test_this_machine_is_served_by_each_of_its_names(tmp_path: Path, host: str) -> None:
    assert visitor(tmp_path).get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/artifacts", "/ui.js", "/run/1", "/step/1/rows", "/runs/events", "/nowhere"])
def test_nothing_is_answered_without_the_token(tmp_path: Path, path: str) -> None:
    client = stranger(tmp_path)
    assert client.get(path).status_code == 403
    assert client.get(path, params={"token": "guess"}).status_code == 403
    assert client.get(path, headers={"cookie": "potstill-8765=guess"}).status_code == 403


def test_the_token_gives_a_cookie_that_no_script_and_no_other_site_gets(tmp_path: Path) -> None:
    tokens = Tokens()
    answer = stranger(tmp_path, tokens).get("/", params={"token": tokens.token})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie
    assert tokens.token not in cookie and tokens.token not in answer.text


def test_the_token_for_the_browser_works_once() -> None:
    tokens = Tokens()
    once = tokens.once()
    assert tokens.admits(once)
    assert not tokens.admits(once)
    assert tokens.admits(tokens.token) and tokens.admits(tokens.token)
    assert not tokens.admits("")


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:9999", "https://127.0.0.1:8765", "null", ""]
)
def test_a_foreign_origin_is_refused_for_pages_streams_and_buttons(tmp_path: Path, origin: str) -> None:
    client = visitor(tmp_path)
    for path in ("/", "/runs/events"):
        assert client.get(path, headers={"origin": origin}).status_code == 403
    assert client.post("/run/1/chat/ask", headers={"origin": origin}, json={}).status_code == 403


def test_a_button_needs_an_origin_and_gets_through_with_its_own(tmp_path: Path) -> None:
    client = visitor(tmp_path)
    assert client.post("/run/1/chat/stop").status_code == 403
    assert client.post("/run/1/chat/stop", headers=HERE).status_code == 303
    assert client.post("/", headers=HERE).status_code == 405


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_page_loads_is_refused_and_its_links_work(tmp_path: Path, site: str) -> None:
    client = visitor(tmp_path)
    for mode in ("no-cors", "cors"):
        assert client.get("/", headers={"sec-fetch-site": site, "sec-fetch-mode": mode}).status_code == 403
    link = {"sec-fetch-site": site, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert client.get("/", headers=link).status_code == 200
    assert client.get("/", headers={**link, "sec-fetch-dest": "iframe"}).status_code == 403


def test_every_answer_carries_the_policy_and_allows_no_other_site(tmp_path: Path) -> None:
    client = visitor(tmp_path)
    for answer in (client.get("/"), client.get("/nowhere"), client.get("/ui.css"), stranger(tmp_path).get("/")):
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        assert not [name for name in answer.headers if name.startswith("access-control")]
    assert "default-src 'self'" in HEADERS["content-security-policy"]
    assert "frame-ancestors 'none'" in HEADERS["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/ui.js/../../app.py",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/step/..%2f..%2f..%2fetc%2fpasswd",
        "/step/%2e%2e/rows",
        "/run/..%2f..%2fruns",
        "/static/ui.js",
    ],
)
def test_there_is_no_way_to_a_file(tmp_path: Path, path: str) -> None:
    answer = visitor(tmp_path).get(path)
    assert answer.status_code == 404
    assert "root:" not in answer.text


@pytest.mark.parametrize("other", ['x={"a": 1}', "a b=c", "name[1]=2", "plain", "path=/", 'x="open'])
def test_a_cookie_of_another_server_of_this_machine_locks_nobody_out(tmp_path: Path, other: str) -> None:
    tokens = Tokens()
    client = stranger(tmp_path, tokens)
    assert client.get("/", headers={"cookie": f"{other}; potstill-8765={tokens.cookie}"}).status_code == 200
    assert client.get("/", headers={"cookie": f"{other}; potstill-8765=guess"}).status_code == 403
