"""The chat: one question to several models of a run, whose answers stream in side by side."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from potstill.engine.store.artifacts import Store
from potstill.engine.store.run_history import RunHistory
from potstill.errors import BadInput, RequestError
from potstill.looking.all_runs import run_of, steps_with_artifacts
from potstill.prompts import render
from potstill.ui.chat_endpoints import Allowed
from potstill.ui.chat_models import ChatModel, ChatPrompt, models_of, prompts_of
from potstill.ui.chat_workers import Workers
from potstill.ui.run_pages import back, store_of
from potstill.ui.templating import page
from potstill.web.events import event, stream

MOST_BYTES = 2**20
"""Bytes of a question with all that was said before."""
TOKENS = (1, 4_096)
"""Fewest and most tokens of an answer."""
ROLES = ("user", "assistant", "system")
"""Who may have said something."""


def chat(request: Request) -> Response:
    """Show the chat; no model is loaded by that."""
    store = store_of(request)
    run, models, prompts = _offer(store, request.path_params["run"], request.app.state.endpoints)
    loaded = request.app.state.workers.loaded()
    return page("chat.html.jinja", run=run, models=models, prompts=prompts, loaded=loaded)


async def ask(request: Request) -> Response:
    """Ask one model; its answer is sent as it grows, and ends when the reader goes."""
    question = await _question(request)
    run = request.path_params["run"]
    _, models, prompts = await run_in_threadpool(_offer, store_of(request), run, request.app.state.endpoints)
    model = next((one for one in models if one.id == question.get("model")), None)
    if model is None:
        raise RequestError(f"this run has no model {str(question.get('model'))!r:.60}: load the page again")
    return stream(_answer(request.app.state.workers, model, _asked(question, prompts)))


async def stop(request: Request) -> Response:
    """Unload all models."""
    await request.app.state.workers.close()
    return back(f"/run/{request.path_params['run']}/chat")


async def _answer(workers: Workers, model: ChatModel, question: Mapping[str, Any]) -> AsyncIterator[bytes]:
    """Yield the events of an answer."""
    answers = workers.ask(model, question)
    try:
        async for answer in answers:
            yield event(answer)
    finally:
        # at once, and not when the garbage is collected: the model would go on writing for nobody
        await answers.aclose()  # type: ignore[attr-defined]  # of an async generator


def _offer(store: Store, name: str, allowed: Sequence[Allowed]) -> tuple[RunHistory, list[ChatModel], list[ChatPrompt]]:
    """Return a run with the models and prompts that it has."""
    run = run_of(store, name)
    steps = steps_with_artifacts(store, run)
    return run, models_of(steps, allowed), prompts_of(steps)


async def _question(request: Request) -> dict[str, Any]:
    """Return what is asked.

    Raises:
        BadInput: it is no JSON object, or too long.
    """
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise BadInput("a question is JSON: send it with the content type application/json")
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > MOST_BYTES:
            raise BadInput(f"a question has at most {MOST_BYTES:,} bytes: begin a new chat")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadInput("a question is a JSON object")
    return value


def _asked(question: Mapping[str, Any], prompts: list[ChatPrompt]) -> dict[str, Any]:
    """Return what a model's process is given.

    Raises:
        BadInput: with everything that is wrong with the question.
    """
    problems = []
    messages = question.get("messages")
    well_formed = isinstance(messages, list) and all(
        isinstance(one, dict) and one.get("role") in ROLES and isinstance(one.get("content"), str) for one in messages
    )
    if not well_formed or not messages:
        problems.append("messages are a list of objects with role and content, the last one the user's")
    numbers: dict[str, float] = {}
    for name, least, most in (("max_tokens", *TOKENS), ("temperature", 0, 5)):
        value = question.get(name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            problems.append(f"{name} is a number from {least} to {most:,}, got {value!r:.60}")
        else:
            numbers[name] = value
    if problems or not isinstance(messages, list):
        raise BadInput(*problems)
    plain = [{"role": str(one["role"]), "content": str(one["content"])} for one in messages]
    return {"messages": _prompted(plain, question.get("prompt"), prompts), "seed": 0, **numbers}


def _prompted(messages: list[dict[str, str]], wanted: object, prompts: list[ChatPrompt]) -> list[dict[str, str]]:
    """Return the chat with its first question put into the prompt that is wanted."""
    prompt = next((one for one in prompts if one.id == wanted), None)
    first = next((place for place, one in enumerate(messages) if one["role"] == "user"), None)
    if prompt is None or first is None:
        return messages
    row = {"instruction": messages[first]["content"], "input": "", "text": messages[first]["content"]}
    return [*messages[:first], *render(prompt.text, row), *messages[first + 1 :]]
