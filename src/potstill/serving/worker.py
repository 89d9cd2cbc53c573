"""The process of the served model: `python -m potstill.serving.worker`, asked by JSON lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from potstill.engine.resources import available_cpus
from potstill.serving.served_model import ServedModel
from potstill.teachers.protocol import Request, Sampling, Session
from potstill.web.model_child import Answer, Show, answer_questions, response_of


@contextmanager
def opened(model: Mapping[str, Any]) -> Iterator[Answer]:
    """Load a model, and yield what answers questions to it."""
    served, threads = ServedModel(**model), available_cpus()
    if served.kind == "chat":
        with _session(served, threads) as session:
            yield lambda question, show: chat_answer(session, question, show)
        return
    from potstill.serving.text_readers import reader_of

    reader = reader_of(served, threads)
    yield lambda question, show: {
        "done": "stop",
        "labels": list(reader.labels),
        **reader.read(question["texts"], lambda: show("")),
    }


def _session(served: ServedModel, threads: int) -> Any:
    """Return what loads a language model: the context of a session."""
    if served.runtime == "transformers":
        from potstill.teachers.transformers import Transformers

        return Transformers(served.folder).open(threads=threads)
    from potstill.serving.exported_chat import open_export

    return open_export(Path(served.folder), served.runtime, threads)  # type: ignore[arg-type] # by `served_model`


def chat_answer(session: Session, question: Mapping[str, Any], show: Show) -> dict[str, Any]:
    """Answer a chat, showing the text as it grows; return the last line."""
    sampling = {**question["sampling"], "stop": tuple(question["sampling"].get("stop", ()))}
    request = Request(list(question["messages"]), Sampling(**sampling), seed=int(question["seed"]))
    response = response_of(session, request, show)
    if response.finish_reason == "error":
        return {"error": response.text, "refused": not response.retryable}
    counts = {"prompt_tokens": response.prompt_tokens, "tokens": response.completion_tokens}
    return {"text": response.text, "done": response.finish_reason, **counts}


if __name__ == "__main__":
    sys.exit(answer_questions(opened))
