"""`potstill serve`: loads a finished model, serves it to this machine alone, and ends with Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import sys

from potstill.engine.pipeline import open_store
from potstill.engine.terminal import say
from potstill.errors import BadInput, PotstillError, RequestError
from potstill.looking.outputs import named
from potstill.serving.served_model import FEATURE, RuntimeChoice, ServedModel, served_model
from potstill.web.binding import HOST, bound, need_packages
from potstill.web.local_server import open_browser, page_address, server_of

PACKAGES = ("starlette", "uvicorn")
"""What the server itself needs, of the extra `ui`."""
KEY_VARIABLE = "POTSTILL_SERVE_KEY"
"""Environment variable with the key that programs send; without it one is drawn."""
SHORTEST_KEY = 16
"""Characters that a key has at least: others on this machine may try some."""


def serve(store: str | None, wanted: str, port: int | None, *, browser: bool, runtime: RuntimeChoice | None) -> None:
    """Serve a model until Ctrl-C.

    Args:
        store: folder of the store, as `--store` takes it.
        wanted: an artifact's key or its start, `PIPELINE:OUTPUT`, or an output's name.
        port: port to serve at; None takes the first free one from 8765 on.
        browser: whether to open the page in the browser.
        runtime: who serves a language model that no export binds; None is vLLM where it is installed and can.

    Raises:
        MissingExtra: a package is not installed.
        RequestError: there is no such model, nothing here serves it, or the port can't be had.
        PotstillError: the model can't be loaded.
    """
    need_packages(FEATURE, PACKAGES)
    key = key_of_programs()
    artifact, name = named(open_store(store), wanted)
    if artifact.manifest["makes"] != "model":
        raise RequestError(f"{name} ({artifact.key}) is {artifact.manifest['makes']}, no model: only models are served")
    served = served_model(artifact.path, name, runtime)
    with bound(port) as listening, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(served, listening, key, browser=browser))


def key_of_programs() -> str:
    """Return the key that programs send.

    Raises:
        BadInput: the one in the environment can't be sent, or is too short.
    """
    own = os.environ.get(KEY_VARIABLE, "")
    if not own:
        return secrets.token_urlsafe(32)
    if len(own) < SHORTEST_KEY or not all("!" <= letter <= "~" for letter in own):
        raise BadInput(
            f"{KEY_VARIABLE} has {len(own)} characters: a key has at least {SHORTEST_KEY}, of ASCII and without spaces"
        )
    return own


async def _serve(served: ServedModel, listening: socket.socket, key: str, *, browser: bool) -> None:
    """Load the model, say where it is, and serve it."""
    from potstill.serving.app import application
    from potstill.serving.backend import desk_of
    from potstill.web.guard import Tokens

    desk, tokens = desk_of(served), Tokens()
    port = listening.getsockname()[1]
    try:
        say(f"{served.name} by {served.runtime}: loading {served.folder}")
        if served.note:
            say(f"note: {served.note}", sys.stderr)
        problem = await desk.backend.load()
        if problem:
            raise PotstillError(f"{served.name} can't be served: {problem}")
        shown = f"that of {KEY_VARIABLE}" if os.environ.get(KEY_VARIABLE) else key
        say(page_address(port, tokens.token))
        say(f"for programs: http://{HOST}:{port}/v1, model {served.name}, key: {shown}\nCtrl-C ends it")
        if browser:
            open_browser(port, tokens)
        app = application(desk, tokens, f"potstill-serve-{port}", key)
        await server_of(app).serve(sockets=[listening])
    finally:
        # also where Ctrl-C ends the loading, and nothing can be waited for
        desk.backend.kill()
