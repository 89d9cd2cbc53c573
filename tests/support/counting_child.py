"""A model's process that only counts: `{"to": 3}` gives 1, 2, 3, and `{"fail": ...}` and `{"exit": ...}` end badly."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from potstill.errors import BadInput
from potstill.web.model_child import Answer, Show, answer_questions


@contextmanager
def opened(model: Mapping[str, Any]) -> Iterator[Answer]:
    """Load nothing; a model with a `problem` can't be loaded."""
    if "problem" in model:
        raise BadInput(model["problem"])
    yield answered


def answered(question: Mapping[str, Any], show: Show) -> dict[str, Any]:
    """Count, a hundredth of a second a number."""
    if "exit" in question:
        print("out of memory", file=sys.stderr)
        os._exit(question["exit"])
    if "fail" in question:
        raise ValueError(question["fail"])
    for number in range(1, question["to"] + 1):
        show(str(number))
        time.sleep(0.01)
    return {"done": "stop", "text": str(question["to"]), "process": os.getpid()}


if __name__ == "__main__":
    sys.exit(answer_questions(opened))
