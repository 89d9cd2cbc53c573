"""Server-sent events: what changes while somebody looks, each with an id from which a reload resumes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from potstill.web.events import event

POLL_SECONDS = 1.0
"""How often files are looked at; network file systems notify of nothing."""
QUIET_SECONDS = 15.0
"""After which silence a comment is sent, so that a browser that has gone is noticed."""
TAIL_BYTES = 60_000
"""Of a log, what is sent of it at first."""
MOST_BYTES = 250_000
"""Of a log, what is sent at a time."""


async def changes(request: Request, fragment: Callable[[], tuple[str, bool]]) -> AsyncIterator[bytes]:
    """Yield what `fragment` renders whenever it is another one, until it says that no more will come.

    Its second value says whether that is so. A reader that has the last one already is sent nothing before a change.
    """
    sent, quiet = request.headers.get("last-event-id", ""), 0.0
    while True:
        html, over = await run_in_threadpool(fragment)
        place = hashlib.blake2b(html.encode("utf-8", "replace"), digest_size=8).hexdigest()
        if place != sent:
            sent, quiet = place, 0.0
            yield event(html, name="html", place=place)
        if over:
            yield event("", name="over", place=place)
            return
        if quiet >= QUIET_SECONDS:
            quiet = 0.0
            yield b": still here\n\n"
        await asyncio.sleep(POLL_SECONDS)
        quiet += POLL_SECONDS


async def tail(request: Request, path_of: Callable[[], tuple[Path | None, bool]]) -> AsyncIterator[bytes]:
    """Yield what is added to a log; ids are places in a file. `path_of` gives the file, and whether it is final.

    Where another file takes its place, as when a step ends whose process only printed, `reset` is sent first.
    """
    file, at = placed(request.headers.get("last-event-id") or request.query_params.get("from", ""))
    quiet = 0.0
    while True:
        path, over = await run_in_threadpool(path_of)
        now = await run_in_threadpool(inode, path)
        if now != file and now:
            if file:
                yield event("", name="reset", place=f"{now}.0")
            file, at = now, -1
        text, at, whole = await run_in_threadpool(read_on, path, at)
        if text:
            quiet = 0.0
            yield event(text, name="text", place=f"{file}.{at}")
        if over and whole:
            yield event("", name="over", place=f"{file}.{max(at, 0)}")
            return
        if quiet >= QUIET_SECONDS:
            quiet = 0.0
            yield b": still here\n\n"
        if whole:
            await asyncio.sleep(POLL_SECONDS)
            quiet += POLL_SECONDS


def placed(text: str) -> tuple[int, int]:
    """Return the file and the place in it that an id names; of anything else no file, from its last part on."""
    file, _, at = text.partition(".")
    is_place = all(part.isascii() and part.isdecimal() and len(part) < 21 for part in (file, at))
    return (int(file), int(at)) if is_place else (0, -1)


def inode(path: Path | None) -> int:
    """Return what tells a file from another that takes its place; 0 where there is none."""
    try:
        return path.stat().st_ino if path else 0
    except OSError:
        return 0


def read_on(path: Path | None, at: int) -> tuple[str, int, bool]:
    """Return what a file holds from `at` on, where that ends, and whether this is all; from -1, its last part.

    A character that is cut in two at the end waits for its other half.
    """
    if path is None:
        return "", at, True
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            start = max(0, size - TAIL_BYTES) if at < 0 or at > size else at
            file.seek(start)
            content = file.read(MOST_BYTES)
    except OSError:
        return "", at, True
    for missing in (0, 1, 2, 3):
        try:
            text = content[: len(content) - missing].decode()
        except UnicodeDecodeError:
            continue
        return text, start + len(content) - missing, start + len(content) >= size
    return content.decode("utf-8", "replace"), start + len(content), start + len(content) >= size
