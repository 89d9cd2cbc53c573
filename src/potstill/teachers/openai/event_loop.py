"""An event loop in a thread of its own, for code that is not asynchronous."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any


@contextlib.contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Yield an event loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="teacher-requests", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        # stop itself is not thread-safe, and would not wake a loop that waits
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def wait_for(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any]) -> Any:
    """Do `work` in the loop's thread, and return what it returns."""
    return asyncio.run_coroutine_threadsafe(work, loop).result()
