"""From the words of the command to a project: all that is wrong is found before anything is written or asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from potstill.errors import Problem, RequestError
from potstill.wishes import bases, budget, rows, teacher, understand
from potstill.wishes.find_texts import find
from potstill.wishes.project import Project
from potstill.wishes.task import Task

Value = TypeVar("Value")


@dataclass(frozen=True)
class Words:
    """What a user typed."""

    wish: str
    """The sentence."""
    teacher: str = ""
    """Who writes and labels: `URL,MODEL`, or a model."""
    price: str = ""
    """Dollars for a million tokens read and written."""
    examples: str = ""
    """File with examples."""
    texts: str = ""
    """File with texts to label."""
    data: str = ""
    """Folder in which texts to label are looked for."""
    budget: str = ""
    """What the model may take."""
    base: str = ""
    """Encoder to train from."""
    folder: str = ""
    """Where all is written."""
    count: int | None = None
    """Examples that the teacher writes."""
    parse: Literal["plain", "teacher"] = "plain"
    """Who reads the sentence."""
    store: str | None = None
    """Folder of the store."""


def project_of(words: Words) -> Project:
    """Return the project that a user means.

    Raises:
        RequestError: something is wrong with what was typed, all of it together; nothing was written or asked.
    """
    problems: list[Problem] = []
    meant: tuple[Task, rows.Pairs] | None = None

    def tried(read: Callable[[], Value]) -> Value | None:
        try:
            return read()
        except RequestError as error:
            problems.extend(error.problems)
            return None

    pairs = tried(lambda: rows.examples_in(Path(words.examples)) if words.examples else ()) or ()
    column = tried(lambda: rows.text_column(Path(words.texts)) if words.texts else "text") or "text"
    tried(lambda: _check_data(words))
    limits = tried(lambda: budget.read(words.budget)) or budget.Budget()
    asked_teacher = tried(lambda: teacher.read(words.teacher, words.price))
    said = tried(lambda: understand.by_plain_parser(words.wish))
    languages = (said and said.languages) or ("en",)
    chosen = tried(lambda: bases.choose(limits, languages, words.base))
    if asked_teacher is not None and said is not None and words.parse == "teacher" and not problems:
        said = understand.read_by_teacher(words.wish, asked_teacher, words.store)
    if said is not None:
        read = said
        meant = tried(lambda: understand.understood(words.wish, read, pairs, words.count))
    if problems or asked_teacher is None or chosen is None or meant is None:
        raise RequestError(*problems)
    folder = Path(words.folder) if words.folder else understand.folder_for(words.wish)
    texts = Path(words.texts) if words.texts else None
    if words.data and (found := find(words.wish, meant[0].labels, Path(words.data))):
        texts, column = found, rows.text_column(found)
    return Project(folder, meant[0], meant[1], asked_teacher, chosen, limits, texts, column)


def _check_data(words: Words) -> None:
    """Check the folder that is searched.

    Raises:
        RequestError: there is none, or a file is named as well.
    """
    if words.data and words.texts:
        raise RequestError("--texts names a file and --data has one looked for: give one of them")
    if words.data and not Path(words.data).is_dir():
        raise RequestError(f"--data {words.data} is no folder")
