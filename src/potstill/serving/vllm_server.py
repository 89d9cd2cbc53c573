"""A language model by vLLM's own server, which answers many requests side by side; it is asked here on their behalf."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from potstill.engine.resources import available_cpus
from potstill.engine.running import services
from potstill.errors import PotstillError

if TYPE_CHECKING:
    from potstill.serving.served_model import ServedModel

END = "[DONE]"
"""How a stream of OpenAI's form ends."""


class VLLMServer:
    """vLLM's server on one model; it ends with this process, however that ends."""

    def __init__(self, served: ServedModel) -> None:
        """Serve a model; nothing is started yet."""
        self.served = served
        self._stack = ExitStack()
        self._running: services.Running | None = None

    async def load(self) -> str:
        """Start the server and wait until it answers; return why that failed, or nothing."""
        try:
            self._running = await asyncio.to_thread(self._started)
        except PotstillError as error:
            return str(error)
        return ""

    async def ask(self, question: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Yield the text so far and the end of an answer; when the reader goes, vLLM ends it too."""
        import httpx

        from potstill.teachers.vllm.arguments import SERVED_NAME
        from potstill.teachers.vllm.server import ANSWER_SECONDS, DEFAULTS

        assert self._running is not None, "it is loaded before it is asked"
        body = {"model": SERVED_NAME, "messages": question["messages"], **DEFAULTS, **question["sampling"]}
        body |= {"seed": question["seed"], "stream": True, "stream_options": {"include_usage": True}}
        headers = {"Authorization": f"Bearer {self._running.secret}"}
        url = f"http://{services.HOST}:{self._running.port}"
        # trust_env: a proxy knows nothing of this machine's own ports
        async with httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as client:
            try:
                # vLLM refuses more tokens than its context leaves, where others write as many as fit
                read = await client.post(f"{url}/tokenize", json={"messages": question["messages"]}, headers=headers)
                if read.status_code == 200:
                    room = int(read.json()["max_model_len"]) - int(read.json()["count"])
                    body["max_tokens"] = min(body["max_tokens"], max(1, room))
                async with client.stream("POST", f"{url}/v1/chat/completions", json=body, headers=headers) as answer:
                    if answer.status_code != 200:
                        content = (await answer.aread()).decode("utf-8", "replace")
                        yield {"error": _message(content), "refused": answer.status_code == 400}
                        return
                    async for line in _answer(answer.aiter_lines()):
                        yield line
            except httpx.HTTPError as error:
                yield {"error": f"vLLM {self._running.ended() or error}"}

    async def stop(self) -> None:
        """End the server."""
        await asyncio.to_thread(self.kill)

    def kill(self) -> None:
        """End the server and its processes."""
        self._stack.close()

    def _started(self) -> services.Running:
        """Start the server."""
        from potstill.teachers.vllm.replicas import service_of
        from potstill.teachers.vllm.teacher import VLLM

        access = self._stack.enter_context(services.private())
        return services.reach(service_of(VLLM(self.served.folder, mode="server"), available_cpus()), access)


async def _answer(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    """Yield the text so far after each event of a stream, and the end with what was counted."""
    text, reason, usage = "", "", {"prompt_tokens": 0, "completion_tokens": 0}
    async for line in lines:
        data = line.removeprefix("data: ")
        if data in (line, END):
            continue
        event = json.loads(data)
        if "error" in event:
            yield {"error": _message(data)}
            return
        usage = event.get("usage") or usage
        for choice in event.get("choices") or ():
            text += choice["delta"].get("content") or ""
            reason = choice.get("finish_reason") or reason
            yield {"text": text}
    counts = {"prompt_tokens": usage["prompt_tokens"], "tokens": usage["completion_tokens"]}
    yield {"text": text, "done": "length" if reason == "length" else "stop", **counts}


def _message(content: str) -> str:
    """Return what an error of vLLM says."""
    try:
        error = json.loads(content)
    except ValueError:
        return content[:2_000]
    inner = error.get("error", error) if isinstance(error, dict) else error
    return str(inner.get("message", inner) if isinstance(inner, dict) else inner)[:2_000]
