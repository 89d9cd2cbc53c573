"""Who may ask: this machine's own browser, with the token that the command printed, from this very page.

A page on the web, or another server on this machine, can make a browser send requests here. What is asked of each one:
a `Host` that is this machine's own (Starlette's `TrustedHostMiddleware`, or a name that was rebound to 127.0.0.1 would
be served), the cookie, and, where the browser says what page the request comes from, that it is this one.
"""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""Names of this machine, exactly: what may stand in `Host`, with any port."""
ONCE_SECONDS = 60.0
"""How long the token that is handed to the browser works; it works once."""
POLICY = "; ".join(
    (
        "default-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    )
)
"""Content security policy of every page."""
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # not no-referrer, with which a form's request would name no origin
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Headers of every answer; one that an answer has itself stays."""
WELCOME = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Potstill</title>
<link rel="icon" href="/icon.svg">
<meta http-equiv="refresh" content="0;url=/"></head><body><p><a href="/">Go on to Potstill</a></p></body></html>"""
"""Where the token leads: the next request comes from this page, so that the browser sends the cookie with it."""
REFUSED = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Potstill</title>
<link rel="icon" href="/icon.svg"></head><body>
<h1>Not from here</h1><p>{}</p></body></html>"""
"""What is answered to a request that is refused."""


@dataclass
class Tokens:
    """The secrets of one server."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """In the address that the command prints."""
    cookie: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """What a browser that came with the token sends from then on."""
    _once: tuple[str, float] = ("", 0.0)
    """The token that works once, and when it ends, by the monotonic clock; empty if there is none."""

    def once(self) -> str:
        """Return a token that works once and soon: others on this machine can read a browser's command line."""
        self._once = (secrets.token_urlsafe(32), time.monotonic() + ONCE_SECONDS)
        return self._once[0]

    def admits(self, token: str) -> bool:
        """Return whether a token is valid; the one that works once is used up."""
        if equal(token, self.token):
            return True
        once, end = self._once
        if once and equal(token, once):
            self._once = ("", 0.0)
            return time.monotonic() < end
        return False


@dataclass(frozen=True)
class Guard:
    """Lets through what may ask, and puts the headers on what is answered."""

    app: ASGIApp
    """What answers."""
    tokens: Tokens
    """The secrets."""
    name: str
    """Name of the cookie: browsers send cookies to every port of a machine, so each server has its own."""
    command: str
    """The command that printed the address, for messages."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message["headers"]}
                more = [(name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in own]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        answer = self._refusal(scope)
        await (answer or self.app)(scope, receive, headed)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to a request that goes no further, or None."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        problem = _foreign(scope["method"], host, headers)
        if problem:
            return refusal(problem)
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and scope["method"] == "GET" and token:
            if not self.tokens.admits(token):
                return refusal(f"This token is not valid (any more): use the address that `{self.command}` printed.")
            welcome = HTMLResponse(WELCOME)
            welcome.set_cookie(self.name, self.tokens.cookie, httponly=True, samesite="strict", path="/")
            return welcome
        if not equal(_cookie(headers.get("cookie", ""), self.name), self.tokens.cookie):
            return refusal(f"Open the address that `{self.command}` printed, with its token.")
        return None


def refusal(text: str) -> Response:
    """Return the answer that refuses a request; `text` holds nothing from outside."""
    return HTMLResponse(REFUSED.format(text), 403)


def equal(first: str, second: str) -> bool:
    """Return whether two secrets are the same, in a time that says nothing about them."""
    return hmac.compare_digest(first.encode("utf-8", "replace"), second.encode("utf-8", "replace"))


def _foreign(method: str, host: str, headers: dict[str, str]) -> str:
    """Return why a request may not come from the page that it comes from, or nothing."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "")
    if origin is not None and origin != f"http://{host}":
        return "This request comes from another page."
    if method not in ("GET", "HEAD") and origin is None:
        return "This request does not say what page it comes from."
    # a link on another page may lead here; nothing else may ask from there, another port of this machine included
    if site in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate":
        return "This request comes from another page."
    if headers.get("sec-fetch-dest") in ("iframe", "frame", "embed", "object") and site != "same-origin":
        return "This page is shown in no other page."
    return ""


def _cookie(header: str, name: str) -> str:
    """Return the value of a cookie, or nothing.

    Browsers send the cookies of all servers of this machine: what others put into theirs must lock nobody out, and
    `http.cookies` reads no further than the first cookie that breaks its rules.
    """
    pairs = (part.partition("=") for part in header.split(";"))
    return next((value.strip() for own, _, value in pairs if own.strip() == name), "")
