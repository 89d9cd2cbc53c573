"""What is answered, in OpenAI's forms."""

from __future__ import annotations

import base64
import json
import secrets
import struct
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from potstill.serving.settled_text import settled


def as_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer of JSON; in ASCII, so that whatever a model wrote can be sent."""
    return Response(json.dumps(value), status, dict(headers or {}), "application/json")


def failure(status: int, kind: str, problems: Sequence[str], code: str | None = None) -> Response:
    """Return an error in OpenAI's form; `problems` holds everything that is wrong."""
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    error = {"message": "\n".join(problems), "type": kind, "param": None, "code": code}
    return as_json({"error": error}, status, headers)


def usage(last: Mapping[str, Any]) -> dict[str, int]:
    """Return the counts of tokens of an answer."""
    read, written = int(last.get("prompt_tokens", 0)), int(last.get("tokens", 0))
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


@dataclass(frozen=True)
class Completion:
    """One answer of a chat, whole or in parts."""

    model: str
    """The model's name."""
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(12)}")
    """The answer's name."""
    created: int = field(default_factory=lambda: int(time.time()))
    """When, in seconds."""

    def whole(self, last: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer, by the last line that the model's process gave."""
        message = {"role": "assistant", "content": last["text"]}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": last["done"]}
        return {**self._head("chat.completion"), "choices": [choice], "usage": usage(last)}

    async def parts(
        self, lines: AsyncIterator[dict[str, Any]], stops: Sequence[str], *, counted: bool
    ) -> AsyncIterator[bytes]:
        """Yield the events of a stream from the lines of the model's process; `counted` adds the counts of tokens."""
        yield self._part({"role": "assistant", "content": ""})
        sent = ""
        async for line in lines:
            if "error" in line:
                error = {"message": line["error"], "type": "server_error", "param": None, "code": None}
                yield _event({"error": error})
                return
            if "text" not in line:
                continue
            # the last line's text is the answer, whatever it holds
            text = line["text"] if "done" in line else settled(line["text"], stops)
            if text.startswith(sent) and len(text) > len(sent):
                yield self._part({"content": text[len(sent) :]})
                sent = text
            if "done" in line:
                yield self._part({}, line["done"])
                if counted:
                    yield _event({**self._head("chat.completion.chunk"), "choices": [], "usage": usage(line)})
        yield b"data: [DONE]\n\n"

    def _part(self, delta: Mapping[str, str], reason: str | None = None) -> bytes:
        """Return the event of one part."""
        choice = {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": reason}
        return _event({**self._head("chat.completion.chunk"), "choices": [choice]})

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


def _event(value: object) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def classes(model: str, last: Mapping[str, Any]) -> dict[str, Any]:
    """Return the classes of texts with their probabilities, the most probable first."""
    labels = last["labels"]
    results = []
    for numbers in last["numbers"]:
        ranked = sorted(zip(labels, numbers, strict=True), key=lambda one: -one[1])
        scores = [{"label": label, "probability": number} for label, number in ranked]
        results.append({"label": ranked[0][0], "probability": ranked[0][1], "labels": scores})
    counts = {"prompt_tokens": last["tokens"], "total_tokens": last["tokens"]}
    return {"object": "list", "model": model, "data": results, "cut": last["cut"], "usage": counts}


def embeddings(model: str, last: Mapping[str, Any], *, packed: bool) -> dict[str, Any]:
    """Return the vectors of texts in OpenAI's form; `packed` as base64."""
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(vector) if packed else vector}
        for index, vector in enumerate(last["numbers"])
    ]
    counts = {"prompt_tokens": last["tokens"], "total_tokens": last["tokens"]}
    return {"object": "list", "model": model, "data": data, "usage": counts}


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
