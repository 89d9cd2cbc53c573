"""Query one or several teachers about each row, for steps that combine their answers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from potstill.engine.encoding import digest, digest_encoded
from potstill.teachers.cache.response_cache import Asker, ask, teacher_problems
from potstill.teachers.ensemble import Ensemble, How, names_of
from potstill.teachers.response_codec import interpreted

if TYPE_CHECKING:
    from potstill.engine.context import Context
    from potstill.errors import Problem
    from potstill.models.chat import Messages
    from potstill.teachers.protocol import Request, Response, Teacher

BATCH = 256
"""Rows whose answers are looked up together."""


@dataclass(frozen=True)
class Job:
    """All that is asked about one row."""

    name: str
    """Id of the row, or its number."""
    row: dict[str, Any]
    """The row."""
    asked: tuple[tuple[int, Request], ...]
    """(number of the member, request)."""


Jobs = Iterable[Job]
"""What is asked about each row; iterated once a member, it begins again each time, so that no row is held in memory."""


class Panel:
    """The members of an ensemble, ready to be asked."""

    def __init__(self, teachers: Sequence[Teacher], how: How, context: Context) -> None:
        """Ask `teachers`, who decide by `how`, on behalf of the step behind `context`."""
        self.teachers = teachers
        self.everyone = range(len(teachers)) if how != "round_robin" else range(0)
        """Numbers of the members that are asked about each chat; empty where each chat has a member of its own."""
        self._context = context
        self._marks = [digest(teacher.identity()) for teacher in teachers]

    @cached_property
    def names(self) -> list[str]:
        """A name for each member."""
        return names_of(self.teachers)

    def member_of(self, messages: Messages) -> int:
        """Return the number of the one member that is asked about a chat."""
        # rendezvous hashing: adding a member moves only the chats that it takes over
        return max(range(len(self.teachers)), key=lambda member: digest_encoded([self._marks[member], messages]))

    def answers(self, jobs: Jobs, total: int) -> Iterator[tuple[Job, list[Response]]]:
        """Yield each of the `total` jobs with the responses to its requests, in order."""
        if len(self.teachers) == 1:
            yield from self._alone(jobs, total)
        else:
            yield from self._together(jobs)

    def _alone(self, jobs: Jobs, total: int) -> Iterator[tuple[Job, list[Response]]]:
        """Ask the only member, and yield as it answers."""
        tagged = (((job, number), request) for job in jobs for number, (_, request) in enumerate(job.asked))
        waiting: list[Response] = []
        for (job, number), response in ask(self.teachers[0], tagged, self._context, total):
            waiting.append(response)
            if number == len(job.asked) - 1:
                yield job, waiting
                waiting = []

    def _together(self, jobs: Jobs) -> Iterator[tuple[Job, list[Response]]]:
        """Let each member answer everything, one after another; then put their answers together from the journal."""
        askers = [Asker(teacher, self._context) for teacher in self.teachers]
        failed: dict[str, Response] = {}
        for member, asker in enumerate(askers):
            mine = (request for job in jobs for number, request in job.asked if number == member)
            with asker:
                for key, response in asker.ask((asker.key(request), request) for request in mine):
                    if response.finish_reason == "error":
                        failed[key] = response  # errors are not in the journal
        source = iter(jobs)
        while batch := list(itertools.islice(source, BATCH)):
            keys = [[(member, askers[member].key(request)) for member, request in job.asked] for job in batch]
            stored = dict(failed)
            for member, asker in enumerate(askers):
                stored |= asker.known([key for row in keys for number, key in row if number == member])
            for job, row in zip(batch, keys, strict=True):
                requests = [request for _, request in job.asked]
                yield job, [interpreted(stored[key], request) for (_, key), request in zip(row, requests, strict=True)]


def panel_problems(ensemble: Ensemble, *, top_k: int = 0) -> Iterator[Problem]:
    """Yield what is wrong with the members of a `teacher` field."""
    yield from ensemble.check()
    for member in ensemble.members:
        yield from teacher_problems(member, top_k=top_k)
