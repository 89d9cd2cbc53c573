"""The application: programs come with the key, browsers with the token and then a cookie; nobody else is answered."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from potstill.errors import BadInput, described
from potstill.serving import api, pages
from potstill.serving.answer_forms import failure
from potstill.serving.backend import MOST_WAITING, Busy, Desk, Gone
from potstill.serving.request_forms import TooLarge, WrongModel
from potstill.web.guard import HEADERS, HOSTS, Guard, Tokens, equal
from potstill.web.rendering import ASSETS

COMMAND = "potstill serve"
"""The command, for messages."""
GONE = 499
"""Status of what nobody reads any more, as nginx calls it."""


@dataclass(frozen=True)
class Doors:
    """Lets programs in by their key, and all others by the guard of the page."""

    app: ASGIApp
    """What answers."""
    page: Guard
    """Who lets browsers in."""
    key: str
    """What programs send as `Authorization: Bearer`."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http" or not is_api(scope["path"]):
            await self.page(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and equal(key.strip(), self.key):
            await self.app(scope, receive, send)
            return
        problem = f"send the key that `{COMMAND}` printed, as the header Authorization: Bearer KEY"
        await failure(401, "invalid_request_error", [problem], "invalid_api_key")(scope, receive, send)


def is_api(path: str) -> bool:
    """Return whether an address is of the interface for programs."""
    return path.startswith(api.PREFIXES)


def application(desk: Desk, tokens: Tokens, cookie: str, key: str) -> Starlette:
    """Return the application over one model.

    Args:
        desk: who takes the questions.
        tokens: the secrets that let a browser in.
        cookie: name of the cookie.
        key: what programs send.
    """
    kind = desk.served.kind
    app = Starlette(
        routes=[*api.routes(kind), *pages.routes(kind), *ASSETS],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
            Middleware(_doors, tokens=tokens, cookie=cookie, key=key),
        ],
        exception_handlers={
            BadInput: _wrong,
            Busy: _busy,
            Gone: _gone,
            HTTPException: _nowhere,
            Exception: _broken,
        },
        lifespan=_lifespan,
    )
    app.state.desk, app.state.started = desk, time.time()
    return app


def _doors(app: ASGIApp, tokens: Tokens, cookie: str, key: str) -> Doors:
    return Doors(app, Guard(app, tokens, cookie, COMMAND), key)


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    """Free the model with the server."""
    try:
        yield
    finally:
        await app.state.desk.backend.stop()


def _wrong(request: Request, error: Exception) -> Response:
    """Say everything that is wrong with a request."""
    assert isinstance(error, BadInput), "it is registered for these"
    code, status = None, 400
    if isinstance(error, TooLarge):
        status = 413
    elif isinstance(error, WrongModel):
        code, status = "model_not_found", 404
    if not is_api(request.url.path):
        return pages.wrong(error, status)
    return failure(status, "invalid_request_error", [str(problem) for problem in error.problems], code)


def _busy(request: Request, error: Exception) -> Response:
    """Say that too many wait."""
    problem = f"{MOST_WAITING} requests wait already: ask again later"
    answer = failure(429, "rate_limit_exceeded", [problem])
    answer.headers["retry-after"] = "1"
    return answer


def _gone(request: Request, error: Exception) -> Response:
    """Answer nobody."""
    return Response(status_code=GONE)


def _nowhere(request: Request, error: Exception) -> Response:
    """Say what is served instead of what was asked for."""
    assert isinstance(error, HTTPException), "it is registered for these"
    served = request.app.state.desk.served
    problem = f"{request.method} {request.url.path} is not served: {served.name} is asked by "
    problem += f"POST {api.OFFERED[served.kind]}, and GET /v1/models names it"
    if is_api(request.url.path):
        return failure(error.status_code, "invalid_request_error", [problem])
    return pages.wrong(BadInput(problem), error.status_code)


def _broken(request: Request, error: Exception) -> Response:
    """Say that an answer failed; the terminal has all of it."""
    traceback.print_exception(error, file=sys.stderr)
    if is_api(request.url.path):
        return failure(500, "server_error", [described(error)])
    answer = pages.wrong(error, 500)
    answer.headers.update(HEADERS)  # it is answered outside of the guard
    return answer
