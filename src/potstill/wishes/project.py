"""The folder of a wish: its task, examples and pipeline file. What the user has changed there stays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from potstill.errors import RequestError
from potstill.wishes import bases, task
from potstill.wishes.budget import Budget
from potstill.wishes.classifier_file import Parts, text_of
from potstill.wishes.rows import Pairs
from potstill.wishes.task import Task
from potstill.wishes.teacher import Teacher

TASK, EXAMPLES, RESULT = "task.json", "examples.jsonl", "result"


@dataclass(frozen=True)
class Project:
    """A wish with all that its pipeline is written from."""

    folder: Path
    """Where it lies."""
    task: Task
    """What the wish was taken to mean."""
    pairs: Pairs
    """Given examples."""
    teacher: Teacher
    """Who writes and labels."""
    choice: bases.Choice
    """What is trained, and how it is stored."""
    budget: Budget
    """What the model may take."""
    texts: Path | None = None
    """Texts to label, in place of those that the teacher writes."""
    column: str = "text"
    """Their column."""

    @property
    def file(self) -> Path:
        """The pipeline file."""
        return self.folder / f"{self.name.replace('-', '_')}.py"

    @property
    def name(self) -> str:
        """Name of the pipeline."""
        return self.folder.resolve().name or "wish"

    def write(self) -> list[str]:
        """Write what is not there, and return what stays as the user has it though it would be written otherwise.

        Raises:
            RequestError: the folder holds another wish; nothing was written.
        """
        self._refuse_another()
        self.folder.mkdir(parents=True, exist_ok=True)
        return [str(path) for path, text in self._files().items() if not _written(path, text)]

    def described(self) -> str:
        """Return in words what was understood and chosen, before anything runs."""
        given = task.read(self.folder / TASK)
        base, precision = self.choice.base, self.choice.precision
        takes = (
            f"about {base.bytes_at(precision) / 1e6:.1f} MB, {base.milliseconds:.1f} ms a text" if base.layers else ""
        )
        lines = [
            f"labels: {', '.join(given.labels)} ({self.folder / TASK}, which you may change)",
            f"teacher: {self.teacher.code}",
            self._gate(given),
            f"texts: {self.texts}" if self.texts else f"texts: the teacher writes {given.rows}",
            f"student: {base.id}, {', '.join(filter(None, [precision, takes, base.licence]))}",
            f"pipeline: {self.file}",
        ]
        return "\n".join(lines)

    def _gate(self, given: Task) -> str:
        """Return in words what the teacher must show before more is asked of it."""
        if not self.pairs:
            more = "" if self.texts else ", and the teacher must label what it writes as it wrote it"
            return f"no examples: the model is measured by the teacher's labels alone{more}"
        shown = {label for _, label in self.pairs}
        without = [label for label in given.labels if label not in shown]
        lacking = f"; none is of {', '.join(without)}, which is not tried" if without else ""
        return f"{len(self.pairs)} examples: the teacher must label {given.gate:.0%} of them rightly first{lacking}"

    def _files(self) -> dict[Path, str]:
        """Return the texts of the files by their paths."""
        files = {self.folder / TASK: self.task.as_json()}
        if self.pairs:
            rows = (
                {"id": f"example-{n}", "text": text, "label": label} for n, (text, label) in enumerate(self.pairs, 1)
            )
            files[self.folder / EXAMPLES] = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        return {**files, self.file: text_of(self._parts())}

    def _parts(self) -> Parts:
        """Return what the pipeline file is written from."""
        texts = "" if self.texts is None else str(self.texts.resolve())
        return Parts(self.name, self.task.wish, self.teacher, self.choice, bool(self.pairs), texts, self.column)

    def _refuse_another(self) -> None:
        """Check that the folder is this wish's.

        Raises:
            RequestError: it is another one's, or its task is wrong.
        """
        file = self.folder / TASK
        if file.exists() and (there := task.read(file)).wish != self.task.wish:
            raise RequestError(f"{self.folder} holds another wish: {there.wish!r}. Name another folder by --folder")


def _written(path: Path, text: str) -> bool:
    """Write a file if there is none; return whether it now holds `text`."""
    if not path.exists():
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8") == text
