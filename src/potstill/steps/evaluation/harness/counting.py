"""What the tasks of an evaluation will ask, counted by the harness itself on a model that answers nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from lm_eval.evaluator import evaluate

from potstill.steps.evaluation.harness.answering import TeacherModel, reader_of
from potstill.teachers.cache.forecast import Count, Counted
from potstill.teachers.cache.response_cache import Asker
from potstill.teachers.protocol import Response

if TYPE_CHECKING:
    from potstill.engine.context import Context
    from potstill.teachers.protocol import Request, Teacher


class CountingModel(TeacherModel):
    """Counts what it is asked, and what of that the journal answers already."""

    def __init__(self, teacher: Teacher, asker: Asker) -> None:
        """Count requests to `teacher`, whose answers `asker` keeps."""
        super().__init__(teacher, asker, reader_of(teacher))
        self.count = Count()
        self._seen: set[str] = set()

    def _answers(self, requests: Sequence[Request]) -> list[Response]:
        """Count requests, equal ones once as they are asked once; return empty answers."""
        own = {self._asker.key(request): request for request in requests}
        fresh = {key: request for key, request in own.items() if key not in self._seen}
        self._seen |= set(fresh)
        known = self._asker.known(list(fresh))
        self.count.cached += len(known)
        with contextlib.suppress(Counted):
            self.count.take(request for key, request in fresh.items() if key not in known)
        return [_empty(request) for request in requests]


def counted(teacher: Teacher, built: dict[str, Any], context: Context, options: Mapping[str, Any]) -> Count:
    """Return what tasks will ask `teacher`; `options` are those of the harness that prompts depend on."""
    with Asker(teacher, context) as asker:
        model = CountingModel(teacher, asker)
        # all is asked before anything is scored; a score of empty answers may not be defined
        try:
            evaluate(model, built, bootstrap_iters=0, log_samples=False, **options)
        except Exception:
            if not model.count.asked and not model.count.cached:
                raise
        return model.count


def _empty(request: Request) -> Response:
    """Return an answer that says nothing, in the form of one to `request`."""
    return Response("", "stop", token_logprobs=np.zeros(len(request.scored_tokens), np.float32))
