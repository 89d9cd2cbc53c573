"""How a local server starts: its settings, and the page in the browser."""

from __future__ import annotations

import threading
import webbrowser
from typing import TYPE_CHECKING

from potstill.web.binding import HOST

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette

    from potstill.web.guard import Tokens

GRACE = 1
"""Seconds that streams, which never end by themselves, are given when the server ends."""


def server_of(app: Starlette) -> uvicorn.Server:
    """Return the server of `app`, quiet, which says nothing of itself in its answers."""
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=GRACE,
    )
    return uvicorn.Server(config)


def page_address(port: int, token: str) -> str:
    """Return where the browser finds the page: its token becomes a cookie."""
    return f"http://{HOST}:{port}/?token={token}"


def open_browser(port: int, tokens: Tokens) -> None:
    """Open the page in the browser, by a token of its own, as others may read a browser's arguments."""
    threading.Thread(target=webbrowser.open, args=(page_address(port, tokens.once()),), daemon=True).start()
