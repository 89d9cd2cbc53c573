"""An address is spelled in one way, its query stays behind the path, and a key in it is refused unseen."""

from __future__ import annotations

import pytest

from potstill.teachers.openai.address import SECRET_NAME, Address


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://a/v1", "http://a/v1/chat"),
        ("http://a/v1/", "http://a/v1/chat"),
        ("http://a/v1//", "http://a/v1/chat"),
        ("https://a/d?api-version=2024-06-01", "https://a/d/chat?api-version=2024-06-01"),
        ("https://a/d/?api-version=1&x=", "https://a/d/chat?api-version=1&x="),
        ("http://a:8000/v1#part", "http://a:8000/v1/chat"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1/chat"),
    ],
)
def test_what_is_asked_stands_between_path_and_query(text: str, url: str) -> None:
    assert Address(text).url("/chat") == url
    assert Address(text).name == url.replace("/chat", "")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("[::1]", True),
        ("x.localhost", True),
        ("0.0.0.0", True),
        ("LOCALHOST", True),
        ("10.0.0.1", False),
        ("example.org", False),
        ("127.0.0.1.nip.io", False),
        ("localhost.example.org", False),
    ],
)
def test_this_machine_is_known_in_any_spelling(host: str, loopback: bool) -> None:
    assert Address(f"http://{host}:80/v1").is_loopback is loopback
    assert Address(f"http://{host}:80/v1").is_private is loopback
    assert Address(f"https://{host}:80/v1").is_private


def test_who_answers_is_scheme_host_and_port() -> None:
    assert Address("https://a/v1").origin == Address("https://A:443/v2").origin
    assert Address("https://a/v1").origin != Address("http://a/v1").origin
    assert Address("https://a/v1").origin != Address("https://a:8443/v1").origin


@pytest.mark.parametrize(
    "name", ["key", "api-key", "api_key", "apikey", "access_token", "sig", "subscription-key", "code"]
)
def test_a_key_in_the_query_is_refused_and_not_shown(name: str) -> None:
    (problem,) = Address(f"https://a/v1?{name}=verysecret").problems("MY_KEY")
    assert "holds a key" in problem
    assert "MY_KEY" in problem
    assert "verysecret" not in problem


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a/v1", "no http"),
        ("ftp://a/v1", "no http"),
        ("http://", "no http"),
        ("http://me:pw@a/v1", "password"),
        ("http://a/v1/chat/completions", "added to it"),
        ("https://a/v1/completions?api-version=1", "added to it"),
        ("http://a:port/v1", "can't be read"),
        ("http://[::1/v1", "can't be read"),
        ("https://a/v1#key=secret", "behind #, which no server ever gets"),
    ],
)
def test_what_is_no_address_is_refused(text: str, word: str) -> None:
    (problem,) = Address(text).problems("MY_KEY")
    assert word in problem
    assert "pw@" not in problem


def test_an_address_with_a_version_is_fine() -> None:
    assert not list(Address("https://a/openai/deployments/d?api-version=2024-06-01").problems("MY_KEY"))
    assert Address("https://a/d?api-version=1").is_azure
    assert not Address("https://a/v1").is_azure


def test_names_of_headers_that_hold_a_key() -> None:
    assert all(
        SECRET_NAME.search(name) for name in ("Authorization", "x-api-key", "Ocp-Apim-Subscription-Key", "Cookie")
    )
    assert not any(SECRET_NAME.search(name) for name in ("X-Title", "HTTP-Referer", "anthropic-beta", "x-monkey"))
