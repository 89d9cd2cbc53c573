"""The process of a model that the chat asks: `python -m potstill.ui.chat_worker`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from potstill.engine.resources import available_cpus
from potstill.teachers.protocol import Request, Sampling, Session, Teacher
from potstill.web.model_child import Answer, Show, answer_questions, response_of


def teacher_of(model: Mapping[str, Any]) -> Teacher:
    """Return the teacher that runs a model: `engine`, `model` and `settings`, as `ChatModel` has them."""
    settings = dict(model["settings"])
    if model["engine"] == "Endpoint":
        from potstill.teachers.openai.endpoint import Endpoint
        from potstill.ui.chat_endpoints import StreamedEndpoint

        settings["without"] = tuple(settings.get("without", ()))
        # a person waits: two tries more, and not five
        return StreamedEndpoint(Endpoint(model=model["model"], max_retries=2, **settings))
    if model["engine"] == "VLLM":
        from potstill.teachers.vllm.teacher import VLLM

        return VLLM(model["model"], **settings)
    from potstill.teachers.transformers import Transformers

    return Transformers(model["model"], **settings)


@contextmanager
def opened(model: Mapping[str, Any]) -> Iterator[Answer]:
    """Load a model, and yield what answers the chat's questions."""
    with teacher_of(model).open(threads=available_cpus()) as session:
        yield lambda question, show: _answered(session, question, show)


def _answered(session: Session, question: Mapping[str, Any], show: Show) -> dict[str, Any]:
    """Answer one question, showing the text as it grows; return the last line."""
    sampling = Sampling(temperature=float(question["temperature"]), max_tokens=int(question["max_tokens"]))
    request = Request(list(question["messages"]), sampling, seed=int(question["seed"]))
    response = response_of(session, request, show)
    if response.finish_reason == "error":
        return {"error": response.text}
    return {"text": response.text, "done": response.finish_reason, "tokens": response.completion_tokens}


if __name__ == "__main__":
    sys.exit(answer_questions(opened))
