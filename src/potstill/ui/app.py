"""The application: which address shows what. Keys and names of runs stand in addresses, never paths."""

from __future__ import annotations

import sys
import traceback
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from potstill.engine.store.artifacts import Store
from potstill.errors import BadInput, RequestError, described
from potstill.ui import chat_pages, run_pages, sample_pages, step_pages
from potstill.ui.chat_endpoints import Allowed
from potstill.ui.chat_workers import Workers
from potstill.ui.templating import page
from potstill.web.guard import HEADERS, HOSTS, Guard, Tokens
from potstill.web.rendering import ASSETS


def application(store: Store, tokens: Tokens, cookie: str, endpoints: Sequence[Allowed] = ()) -> Starlette:
    """Return the application over a store.

    Args:
        store: what it shows; nothing is written into it.
        tokens: the secrets that let a browser in.
        cookie: name of the cookie.
        endpoints: servers that the chat may ask, besides those on this machine.
    """
    routes = [
        Route("/", run_pages.runs),
        Route("/runs/events", run_pages.runs_live),
        Route("/artifacts", run_pages.artifacts),
        Route("/run/{run}", run_pages.run),
        Route("/run/{run}/events", run_pages.run_live),
        Route("/run/{run}/samples", sample_pages.samples),
        Route("/run/{run}/chat", chat_pages.chat),
        Route("/run/{run}/chat/ask", chat_pages.ask, methods=["POST"]),
        Route("/run/{run}/chat/stop", chat_pages.stop, methods=["POST"]),
        Route("/diff", run_pages.diff),
        Route("/step/{key}", step_pages.step),
        Route("/step/{key}/log", step_pages.log),
        Route("/step/{key}/log/events", step_pages.log_live),
        Route("/step/{key}/rows", step_pages.rows),
        Route("/step/{key}/row", step_pages.row),
        Route("/step/{key}/lost", step_pages.lost),
        Route("/step/{key}/report", step_pages.report),
        Route("/step/{key}/report/page", step_pages.report_page),
        *ASSETS,
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
            Middleware(Guard, tokens=tokens, name=cookie, command="potstill ui"),
        ],
        exception_handlers={RequestError: _wrong, 404: _nowhere, Exception: _broken},
        lifespan=_lifespan,
    )
    app.state.store = store
    app.state.workers = Workers()
    app.state.endpoints = tuple(endpoints)
    return app


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    """End the processes of models with the server."""
    try:
        yield
    finally:
        await app.state.workers.close()
        app.state.store.journal.close()


def _wrong(request: Request, error: Exception) -> Response:
    """Show what is wrong with a request: what was asked for is not there, or can't be understood."""
    problems = [str(problem) for problem in error.problems] if isinstance(error, RequestError) else [str(error)]
    title = "That can't be asked" if isinstance(error, BadInput) else "That is not here"
    return page("problem.html.jinja", 400 if isinstance(error, BadInput) else 404, title=title, problems=problems)


def _nowhere(request: Request, error: Exception) -> Response:
    """Show that there is no such page."""
    return page("problem.html.jinja", 404, title="There is no such page", problems=[request.url.path])


def _broken(request: Request, error: Exception) -> Response:
    """Show that a page failed; the terminal has all of it."""
    traceback.print_exception(error, file=sys.stderr)
    answer = page("problem.html.jinja", 500, title="This page failed", problems=[described(error)])
    answer.headers.update(HEADERS)  # it is answered outside of the guard
    return answer
