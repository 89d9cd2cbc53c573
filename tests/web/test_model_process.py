"""A model's process answers one question at a time, drops what nobody waits for, and starts again when it has died."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from potstill.web.model_process import ModelProcess

SUPPORT = Path(__file__).parents[1] / "support"


@pytest.fixture(autouse=True)
def _child_is_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SUPPORT), os.environ.get("PYTHONPATH", "")]))


def with_process(story: Callable[[ModelProcess], Coroutine[Any, Any, Any]], **model: Any) -> Any:
    """Return what a story with a process comes to; the process is ended."""

    async def told() -> Any:
        process = ModelProcess("counting_child", model)
        try:
            return await asyncio.wait_for(story(process), 60)
        finally:
            await process.stop()

    return asyncio.run(told())


async def all_of(lines: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line async for line in lines]


def test_an_answer_grows_and_ends_and_the_process_is_kept() -> None:
    async def story(process: ModelProcess) -> None:
        first = await all_of(process.ask({"to": 2}))
        assert first[:-1] == [{"state": "loading"}, {"state": "asked"}, {"text": "1"}, {"text": "2"}]
        assert first[-1]["process"] == process.pid
        second = await all_of(process.ask({"to": 1}))
        assert second[0] == {"state": "asked"} and second[-1]["process"] == process.pid

    with_process(story)


@pytest.mark.parametrize("how", ["closed", "cancelled"])
def test_an_answer_that_nobody_reads_stops_and_the_next_question_has_its_own_answer(how: str) -> None:
    async def story(process: ModelProcess) -> None:
        assert await process.load() == ""
        before = process.pid
        lines = process.ask({"to": 100_000})
        if how == "closed":
            async for line in lines:
                if "text" in line:
                    break
            await lines.aclose()  # type: ignore[attr-defined]
        else:
            reading = asyncio.create_task(all_of(lines))
            await asyncio.sleep(0.2)
            reading.cancel()
            await asyncio.wait([reading])
        answers = await asyncio.gather(*(all_of(process.ask({"to": number})) for number in (3, 4)))
        assert [lines[-1]["text"] for lines in answers] == ["3", "4"]
        assert process.pid == before

    with_process(story)


def test_many_that_leave_one_after_the_other_leave_the_next_one_its_own_answer() -> None:
    async def story(process: ModelProcess) -> None:
        assert await process.load() == ""
        for seconds in (0.05, 0.0, 0.001, 0.02, 0.0):
            reading = [asyncio.create_task(all_of(process.ask({"to": 100_000}))) for _ in range(2)]
            await asyncio.sleep(seconds)
            for one in reading:
                one.cancel()
        answers = await asyncio.gather(*(all_of(process.ask({"to": number})) for number in (3, 4)))
        assert [lines[-1]["text"] for lines in answers] == ["3", "4"]

    with_process(story)


def test_a_question_that_fails_leaves_the_model_loaded_and_one_that_kills_it_starts_another() -> None:
    async def story(process: ModelProcess) -> None:
        *_, failed = await all_of(process.ask({"fail": "no such token"}))
        assert failed == {"error": "ValueError: no such token"}
        before = process.pid
        *_, ended = await all_of(process.ask({"exit": 9}))
        assert ended["ended"] and "ended with 9: out of memory" in ended["error"]
        *_, last = await all_of(process.ask({"to": 1}))
        assert last["done"] == "stop" and process.pid not in (0, before)

    with_process(story)


def test_a_model_that_can_t_be_loaded_says_why() -> None:
    async def story(process: ModelProcess) -> None:
        assert await process.load() == "no such model"
        assert not process.alive
        assert (await all_of(process.ask({"to": 1})))[-1] == {"error": "no such model"}

    with_process(story, problem="no such model")
