"""Server-sent events as they are written."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse


def event(data: object, *, name: str = "message", place: str = "") -> bytes:
    """Return one event; its data are JSON, which has no line break."""
    lines = [*([f"id: {place}"] if place else []), f"event: {name}", f"data: {json.dumps(data)}"]
    return ("\n".join(lines) + "\n\n").encode()


def stream(events: AsyncIterator[bytes]) -> StreamingResponse:
    """Return the answer that sends events until its reader goes."""
    return StreamingResponse(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})
