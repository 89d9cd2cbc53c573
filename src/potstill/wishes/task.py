"""What a wish was taken to mean: a small JSON file, which the user may change and the pipeline reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from potstill.errors import RequestError

KINDS = ("classification",)
"""What is built so far."""


@dataclass(frozen=True)
class Task:
    """A task of a model, as described."""

    wish: str
    """The sentence it was read from."""
    instruction: str
    """What is to be done with a text, as it stands in prompts."""
    labels: tuple[str, ...]
    """The labels, one of which each text gets."""
    kind: str = "classification"
    """What kind of task it is."""
    languages: tuple[str, ...] = ("en",)
    """Languages of the texts, by their codes."""
    output: str = "one label"
    """What an answer looks like."""
    rows: int = 400
    """Examples that the teacher writes."""
    gate: float = 0.8
    """Share of the given examples that the teacher must label rightly before more is asked of it."""

    def problems(self) -> Iterator[str]:
        """Yield what is wrong, each with what to do."""
        if self.kind not in KINDS:
            yield f"kind is {self.kind!r}, and `make` builds {', '.join(KINDS)} so far: see `potstill new --list`"
        if not self.instruction.strip():
            yield "instruction is empty: say what is to be done with a text"
        if len(set(self.labels)) < 2 or not all(label.strip() for label in self.labels):
            yield f"labels are {list(self.labels)}: give at least two that differ, such as billing, bug or other"
        if len({label.lower() for label in self.labels}) < len(self.labels):
            yield f"labels are {list(self.labels)}: leave out what is there twice, in whatever case"
        if self.rows < 2 * len(self.labels):
            yield f"rows is {self.rows}: at least {2 * len(self.labels)} are needed, two a label"
        if not 0 < self.gate <= 1:
            yield f"gate is {self.gate}: give a share above 0 and up to 1"

    def as_json(self) -> str:
        """Return the text of the file."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def read(file: Path) -> Task:
    """Return the task in a file, which somebody may have changed.

    Raises:
        RequestError: it holds no task, or one with something wrong; all problems together.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError(f"{file} can't be read as JSON: {error}") from error
    if not isinstance(values, dict):
        raise RequestError(f"{file} holds no JSON object, got {values!r:.60}")
    wrong = list(_misfits(values))
    if wrong:
        raise RequestError(*(f"{file}: {problem}" for problem in wrong))
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    task = Task(**{**values, **lists})
    if wrong := list(task.problems()):
        raise RequestError(*(f"{file}: {problem}" for problem in wrong))
    return task


def _misfits(values: dict[str, object]) -> Iterator[str]:
    """Yield names that a task has not, or lacks, and values of another type."""
    known = {field.name: field for field in fields(Task)}
    yield from (f"there is no {name!r}: a task has {', '.join(known)}" for name in values if name not in known)
    yield from (f"{name} is missing" for name in ("wish", "instruction", "labels") if name not in values)
    for name, value in values.items():
        if name in ("labels", "languages"):
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                yield f"{name} must be a list of texts, got {value!r:.60}"
        elif name == "rows" and (not isinstance(value, int) or isinstance(value, bool)):
            yield f"rows must be a whole number, got {value!r:.60}"
        elif name == "gate" and not isinstance(value, int | float):
            yield f"gate must be a number, got {value!r:.60}"
        elif name in ("wish", "instruction", "kind", "output") and not isinstance(value, str):
            yield f"{name} must be a text, got {value!r:.60}"
