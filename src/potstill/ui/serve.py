"""`potstill ui`: a server on this machine alone, which ends with Ctrl-C."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from potstill.engine.pipeline import open_store
from potstill.engine.terminal import say
from potstill.looking.cached_store import CachedStore
from potstill.web.binding import bound, need_packages
from potstill.web.local_server import open_browser, page_address, server_of

PACKAGES = ("starlette", "uvicorn", "duckdb")
"""What the extra `ui` brings."""


def serve(store: str | None, port: int | None, *, browser: bool, endpoints: Sequence[str] = ()) -> None:
    """Serve the page over a store until Ctrl-C.

    Args:
        store: its folder, as `--store` takes it; one that is empty or not there yet is shown as such.
        port: port to serve at; None takes the first free one from `PORT` on.
        browser: whether to open the page in the browser.
        endpoints: servers that the chat may ask, each `URL` or `URL,VARIABLE` with that of its key.

    Raises:
        MissingExtra: a package is not installed.
        RequestError: the port can't be had.
        BadInput: an endpoint is no address.
    """
    need_packages("potstill ui", PACKAGES)
    from potstill.ui.app import application
    from potstill.ui.chat_endpoints import allowed_of
    from potstill.web.guard import Tokens

    allowed = allowed_of(endpoints)
    tokens, opened = Tokens(), CachedStore(open_store(store).root)
    with bound(port) as listening:
        at = listening.getsockname()[1]
        app = application(opened, tokens, f"potstill-{at}", allowed)
        server = server_of(app)
        say(f"{opened.root}\n{page_address(at, tokens.token)}\nCtrl-C ends it")
        if browser:
            open_browser(at, tokens)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
