"""How the figures of one kind were measured: those of two ways are not compared, though they bear one name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from potstill.reporting.kinds import AGREEMENT, CHOICES, DOCUMENTS, GRADES, HARNESS, READING, Kind
from potstill.reporting.number_formats import plain


@dataclass(frozen=True)
class Setting:
    """Something that the figures of a kind depend on, as the metrics say it."""

    path: tuple[str, ...]
    """Keys that lead to it in the metrics."""
    title: str
    """What its value is called; of a setting that is on or off, what is said where it is on."""
    off: str = ""
    """What is said where it is off, or not there; empty of one that has a value."""

    def words(self, metrics: Mapping[str, Any]) -> str:
        """Return it as part of a heading, or nothing if it is unknown."""
        value: object = metrics
        for key in self.path:
            value = value.get(key) if isinstance(value, Mapping) else None
        if self.off:
            return self.title if value else self.off
        return "" if value is None or value == "" else f"{self.title} {plain(value, LONGEST)}"


LONGEST = 40
"""Characters of a value in a heading."""
CHATS = (
    Setting(("engine", "chat_template"), "with the chat template", "without the chat template"),
    Setting(("engine", "system"), "with the system message"),
)
JUDGE = Setting(("judge",), "by")
SETTINGS: Mapping[Kind, tuple[Setting, ...]] = {
    READING: (
        Setting(("engine", "documents"), "document by document", "texts joined"),
        Setting(("engine", "window"), "windows of"),
    ),
    CHOICES: (Setting(("engine", "by"), "by"),),
    GRADES: (JUDGE,),
    AGREEMENT: (Setting(("teacher",), "with"),),
    HARNESS: CHATS,
    DOCUMENTS: CHATS,
}
"""By kind, what its figures depend on beyond model and rows. Prompts and decoding are none: they are part of a model as
it is used, so that two of them may be compared."""


def way_of(kind: Kind, metrics: Mapping[str, Any]) -> str:
    """Return how figures of `kind` were measured, in words; equal texts are equal ways."""
    words = [setting.words(metrics) for setting in SETTINGS.get(kind, ())]
    if kind in (HARNESS, DOCUMENTS):
        words.append(_examples(metrics.get("tasks")))
    return ", ".join(filter(None, words))


def _examples(tasks: object) -> str:
    """Return how many examples a prompt of the harness's tasks holds, or nothing if it is unknown."""
    every = tasks.values() if isinstance(tasks, Mapping) else ()
    counts = {task["n_shot"] for task in every if isinstance(task, Mapping) and isinstance(task.get("n_shot"), int)}
    return f"{' or '.join(map(str, sorted(counts)))} examples in a prompt" if counts else ""
