"""From a sentence to a task: by the plain parser, or by the teacher, who is asked once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.errors import RequestError
from potstill.wishes.describe import Described, described
from potstill.wishes.rows import Pairs, strange_labels
from potstill.wishes.task import Task

if TYPE_CHECKING:
    from potstill.wishes.teacher import Teacher

OTHER_KINDS = {"extraction": "extractor", "translation": "translate", "generation": "instruct"}
"""Ready pipelines for tasks that `make` does not build yet."""


def understood(wish: str, said: Described, given: Pairs, rows: int | None = None) -> tuple[Task, Pairs]:
    """Return the task that a wish describes, and all examples of it; labels that it doesn't list are the examples'.

    Raises:
        RequestError: it is no classification, there are no labels, or examples have others; all problems together.
    """
    pairs = tuple(dict.fromkeys([*given, *said.examples]))
    labels = said.labels or tuple(sorted({label for _, label in pairs}))
    if said.kind not in ("classification", ""):
        ready = OTHER_KINDS.get(said.kind, "instruct")
        raise RequestError(
            f"{wish!r} asks for {said.kind}, and `make` builds classifiers so far: `potstill new {ready}` writes a "
            "pipeline for that. If texts are to get labels, begin with Classify"
        )
    if len(labels) < 2:
        raise RequestError(
            f"{wish!r} lists no labels: write them as in 'Classify mails as billing, bug or other', give --examples, "
            "or let the teacher read the sentence (--parse teacher)"
        )
    count = rows if rows is not None else max(Task.rows, 60 * len(labels))
    task = Task(wish, said.instruction, labels, languages=said.languages or Task.languages, rows=count)
    problems = [*task.problems(), *strange_labels(pairs, labels)]
    if problems:
        raise RequestError(*problems)
    return task, pairs


def read_by_teacher(wish: str, teacher: Teacher, store: str | None) -> Described:
    """Return what a teacher takes a wish to say; its answer is kept, so that it is asked once.

    Raises:
        PotstillError: it gives no answer that can be read.
    """
    from potstill import Pipeline
    from potstill.steps import ParsePrompt

    task = ParsePrompt(wish, teacher=teacher.made())
    run = Pipeline("read a wish", outputs={"task": task}).run(store=store)
    row = run["task"].dataset()[0]
    pairs = tuple((pair["input"], pair["output"]) for pair in row["examples"])
    said = described(row["instruction"])
    return replace(said, examples=tuple(dict.fromkeys([*said.examples, *pairs])))


def by_plain_parser(wish: str) -> Described:
    """Return what a wish says, without any model.

    Raises:
        RequestError: it is empty.
    """
    if not wish.strip():
        raise RequestError(
            "the wish is empty: write what is to be done, as in 'Classify mails as billing, bug or other'"
        )
    return described(wish)


def folder_for(wish: str) -> Path:
    """Return the folder that a wish is made in if no other is named: its first words.

    >>> folder_for("Classify support mails as billing, bug or other")
    PosixPath('classify-support-mails')
    """
    words = ["".join(letter for letter in word if letter.isalnum()) for word in wish.lower().split()]
    return Path("-".join([word for word in words if word][:3]) or "wish")
