"""The interface for programs: OpenAI's for chats and vectors, and `POST /classify`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from potstill.serving.answer_forms import Completion, as_json, classes, embeddings, failure
from potstill.serving.backend import Desk, while_here
from potstill.serving.request_forms import (
    TextsQuestion,
    body_of,
    chat_question,
    classify_question,
    embeddings_question,
)
from potstill.web.events import stream

PREFIXES = ("/v1/", "/classify")
"""How addresses of the interface begin."""
OFFERED: Mapping[str, str] = {"chat": "/v1/chat/completions", "classes": "/classify", "vectors": "/v1/embeddings"}
"""Where a model of each kind is asked."""
Line = dict[str, Any]


def desk_at(request: Request) -> Desk:
    """Return who takes the questions."""
    desk: Desk = request.app.state.desk
    return desk


def routes(kind: str) -> list[Route]:
    """Return the addresses that a model of a kind has."""
    function = {"chat": chat, "classes": classify, "vectors": embed}[kind]
    return [
        Route("/v1/models", models),
        Route("/v1/models/{name}", model),
        Route(OFFERED[kind], function, methods=["POST"]),
    ]


def models(request: Request) -> Response:
    """Name the model."""
    return as_json({"object": "list", "data": [_described(request)]})


def model(request: Request) -> Response:
    """Describe the model, if it is the one that is served."""
    if request.path_params["name"] != desk_at(request).served.name:
        return failure(404, "invalid_request_error", ["there is no such model here: see /v1/models"], "model_not_found")
    return as_json(_described(request))


def _described(request: Request) -> dict[str, Any]:
    started: float = request.app.state.started
    served = desk_at(request).served
    entry = {"id": served.name, "object": "model", "created": int(started), "owned_by": "potstill"}
    return {**entry, "runtime": served.runtime}


async def chat(request: Request) -> Response:
    """Answer a chat, whole or as it grows."""
    desk = desk_at(request)
    question = chat_question(await body_of(request), desk.served.name)
    completion = Completion(desk.served.name)
    if not question.stream:
        last = await while_here(request, desk.last(question.as_json()))
        return _failed(last) or as_json(completion.whole(last))
    lines = desk.answers(question.as_json())
    try:
        # what can't be asked is an error of its own, and no stream that ends with one
        first = await while_here(request, _first(lines))
    except BaseException:
        await lines.aclose()  # type: ignore[attr-defined]  # of an async generator
        raise
    refused = _failed(first)
    if refused is not None:
        await lines.aclose()  # type: ignore[attr-defined]  # of an async generator
        return refused
    return stream(_sent(completion, first, lines, question.stops, counted=question.usage))


async def classify(request: Request) -> Response:
    """Name the classes of texts."""
    desk = desk_at(request)
    question = classify_question(await body_of(request), desk.served.name)
    return await _read(request, question, lambda last: classes(desk.served.name, last))


async def embed(request: Request) -> Response:
    """Return the vectors of texts."""
    desk = desk_at(request)
    question = embeddings_question(await body_of(request), desk.served.name)
    return await _read(request, question, lambda last: embeddings(desk.served.name, last, packed=question.base64))


async def _read(request: Request, question: TextsQuestion, form: Callable[[Line], Mapping[str, Any]]) -> Response:
    """Return what the model says of texts, in a form."""
    last = await while_here(request, desk_at(request).last({"texts": question.texts}))
    return _failed(last) or as_json(form(last))


async def _first(lines: AsyncIterator[Line]) -> Line:
    """Return the first line that says something of the answer."""
    async for line in lines:
        if "state" not in line:
            return line
    return {"error": "the model's process said nothing"}


async def _sent(
    completion: Completion, first: Line, lines: AsyncIterator[Line], stops: list[str], *, counted: bool
) -> AsyncIterator[bytes]:
    """Yield the events of an answer, whose first line was read already."""

    async def all_lines() -> AsyncIterator[Line]:
        yield first
        async for line in lines:
            yield line

    try:
        async for part in completion.parts(all_lines(), stops, counted=counted):
            yield part
    finally:
        await lines.aclose()  # type: ignore[attr-defined]  # of an async generator


def _failed(line: Line) -> Response | None:
    """Return the error that a line says, or None."""
    if "error" not in line:
        return None
    if line.get("refused"):
        return failure(400, "invalid_request_error", [line["error"]])
    return failure(503 if line.get("ended") else 500, "server_error", [line["error"]])
