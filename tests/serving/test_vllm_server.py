"""vLLM's own server answers behind ours: many requests side by side, as many tokens as fit, ended when nobody reads."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from potstill.data import home
from potstill.serving.backend import Desk, desk_of
from potstill.serving.served_model import ServedModel

pytest.importorskip("vllm")
pytestmark = [pytest.mark.slow, pytest.mark.vllm]
CHAT = [{"role": "user", "content": "turn on the light"}]


def question(**sampling: Any) -> dict[str, Any]:
    settings = {"temperature": 0.0, "top_p": 1.0, "presence_penalty": 0.0, "stop": [], "max_tokens": 40}
    return {"messages": CHAT, "sampling": {**settings, **sampling}, "seed": 1}


def test_it_answers_side_by_side_and_goes_on_after_readers_that_leave() -> None:
    async def story(desk: Desk) -> None:
        assert await desk.backend.load() == ""
        lines = [line async for line in desk.answers(question())]
        texts = [line["text"] for line in lines]
        assert len(set(texts)) > 5 and texts == sorted(texts, key=len)
        assert lines[-1]["done"] == "stop" and lines[-1]["tokens"] > 5 < lines[-1]["prompt_tokens"]
        leaving = desk.answers(question(temperature=2.0, max_tokens=1_000_000))
        async for _ in leaving:
            break
        await leaving.aclose()  # type: ignore[attr-defined]
        several = await asyncio.gather(*(desk.last(question(max_tokens=3)) for _ in range(4)))
        assert [(last["done"], last["tokens"]) for last in several] == [("length", 3)] * 4
        long = {**question(), "messages": [{"role": "user", "content": "light " * 50_000}]}
        assert (await desk.last(long))["refused"]
        stopped = await desk.last(question(stop=['"room']))
        assert stopped["text"] == texts[-1][: texts[-1].index('"room')]
        assert desk.waiting == 0

    async def told() -> None:
        desk = desk_of(ServedModel("home", str(home.FOLDER / "teacher"), "chat", "vllm"))
        try:
            await story(desk)
        finally:
            await desk.backend.stop()

    asyncio.run(told())
