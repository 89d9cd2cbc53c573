"""The page at `/`: a chat, or a text to try."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from potstill.errors import BadInput
from potstill.serving.answer_forms import classes
from potstill.serving.api import desk_at
from potstill.serving.backend import Desk, while_here
from potstill.serving.request_forms import body_of, chat_question, classify_question, content_of
from potstill.web.events import event, stream
from potstill.web.rendering import Templates

TEMPLATES = Templates(Path(__file__).parent / "templates")
"""Those of the pages."""
SHOWN = 10
"""Most classes of a text that are shown."""
LINES = 32
"""Most texts that are tried at a time, a line each."""
FIELDS = ("messages", "max_tokens", "temperature")
"""What the page's script sends of a question that the model is asked; the other fields are for pages of many models."""


def routes(kind: str) -> list[Route]:
    """Return the addresses of the page."""
    if kind == "chat":
        return [Route("/", chat), Route("/ask", ask, methods=["POST"])]
    return [Route("/", texts), Route("/", read, methods=["POST"])]


def chat(request: Request) -> Response:
    """Show the chat."""
    return TEMPLATES.page("serve_chat.html.jinja", served=desk_at(request).served)


async def ask(request: Request) -> Response:
    """Answer the page's chat as it grows."""
    desk = desk_at(request)
    body = await body_of(request)
    question = chat_question({name: body[name] for name in FIELDS if name in body}, desk.served.name)
    return stream(_events(desk, question.as_json()))


async def _events(desk: Desk, question: Mapping[str, Any]) -> AsyncIterator[bytes]:
    """Yield the events of an answer."""
    lines = desk.answers(question)
    try:
        async for line in lines:
            yield event(line)
    finally:
        await lines.aclose()  # type: ignore[attr-defined]  # of an async generator


def texts(request: Request) -> Response:
    """Show the form for texts."""
    return _page(desk_at(request), "")


async def read(request: Request) -> Response:
    """Show what the model says of the form's texts, a line each."""
    desk = desk_at(request)
    fields = parse_qs((await content_of(request)).decode("utf-8", "replace"))
    text = fields.get("texts", [""])[0].replace("\r\n", "\n")
    lines = [line for line in text.split("\n") if line.strip()]
    if not 1 <= len(lines) <= LINES:
        return _page(desk, text, problem=f"Give 1 to {LINES} texts, a line each; these are {len(lines)}.", status=400)
    asked = classify_question({"texts": lines}, desk.served.name)
    last = await while_here(request, desk.last({"texts": asked.texts}))
    if "error" in last:
        return _page(desk, text, problem=str(last["error"]), status=500)
    if desk.served.kind == "classes":
        ranked = [one["labels"][:SHOWN] for one in classes(desk.served.name, last)["data"]]
        return _page(desk, text, results=list(zip(lines, ranked, strict=True)))
    vectors = last["numbers"]
    likeness = [cosine(vectors[0], vector) for vector in vectors]
    return _page(desk, text, results=list(zip(lines, likeness, strict=True)), size=len(vectors[0]))


def cosine(one: list[float], other: list[float]) -> float:
    """Return the cosine of two vectors; 0 where one of them is zero."""
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(first * second for first, second in zip(one, other, strict=True)) / lengths if lengths else 0.0


def _page(desk: Desk, text: str, *, problem: str = "", status: int = 200, **values: Any) -> Response:
    """Return the page for texts."""
    empty = {"results": [], "size": 0}
    return TEMPLATES.page(
        "serve_texts.html.jinja", status, served=desk.served, text=text, problem=problem, **{**empty, **values}
    )


def wrong(error: Exception, status: int) -> Response:
    """Show what is wrong with a request."""
    problems = [str(problem) for problem in error.problems] if isinstance(error, BadInput) else [str(error)]
    return TEMPLATES.page("serve_problem.html.jinja", status, problems=problems)
