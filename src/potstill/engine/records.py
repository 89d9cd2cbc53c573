"""What became of a run: a record of every step, and who is notified while it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from potstill.engine import notebook
from potstill.engine.context import Progress
from potstill.engine.store.artifacts import Artifact
from potstill.errors import StepFailed


class Watcher(Protocol):
    """What shows a run: a live display, plain lines, or nothing."""

    def planned(self, steps: list[str]) -> None:
        """Take the names of all steps of the run, in order."""

    def started(self, step: str) -> Progress:
        """Note that a step starts; return where it reports progress."""

    def finished(self, record: Record) -> None:
        """Take the record of a step that has ended."""

    def said(self, message: str) -> None:
        """Take a warning."""

    def close(self) -> None:
        """Note that the run is over."""


@dataclass
class Record:
    """What became of one step in a run."""

    name: str
    """Name in the pipeline."""
    type: str
    """Class name."""
    key: str = ""
    """Key of its artifact, once known."""
    status: str = "skipped"
    """`hit`, `ran`, `failed` or `skipped`."""
    seconds: float = 0.0
    """How long it ran."""
    error: str = ""
    """Why it failed, or which failed step it waited for."""
    bad_request: bool = False
    """Whether the failure is the user's input's."""
    artifact: Artifact | None = None
    """What it made."""

    def as_json(self) -> dict[str, Any]:
        """Return the record as `--json` prints it."""
        return {
            "name": self.name,
            "type": self.type,
            "key": self.key,
            "status": self.status,
            "seconds": round(self.seconds, 3),
            "rows": self.artifact.rows if self.artifact else None,
            "path": str(self.artifact.path) if self.artifact else None,
            "error": self.error or None,
        }


@dataclass
class Run(Mapping[str, Artifact]):
    """A finished run: its outputs by name, and a record of every step."""

    pipeline: str
    """Name of the pipeline."""
    store: Path
    """Root of the store."""
    records: list[Record]
    """Every step, in topological order."""
    outputs: dict[str, Record]
    """The record behind each output."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Which output of its step each output is, where a step has several."""

    def __getitem__(self, name: str) -> Artifact:
        """Return the artifact of an output.

        Raises:
            KeyError: there is no such output.
            StepFailed: the output was not made.
        """
        record = self.outputs[name]
        if record.artifact is None:
            raise StepFailed(record.name, record.error)
        return replace(record.artifact, output=self.parts.get(name, ""))

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the outputs."""
        return iter(self.outputs)

    def __len__(self) -> int:
        """Return the number of outputs."""
        return len(self.outputs)

    @property
    def steps(self) -> dict[str, Artifact]:
        """The artifact of every step that has one, by the step's name; also of those between the outputs."""
        return {record.name: record.artifact for record in self.records if record.artifact is not None}

    @property
    def failed(self) -> list[Record]:
        """The steps that failed."""
        return [record for record in self.records if record.status == "failed"]

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a line for every step, the outputs named."""
        names = {record.key: name for name, record in self.outputs.items()}
        lines = [
            [
                record.name,
                record.type,
                f"failed: {record.error}" if record.status == "failed" else record.status,
                record.artifact.rows if record.artifact else None,
                round(record.seconds, 1),
                names.get(record.key) if record.key else None,
                record.key[:12],
            ]
            for record in self.records
        ]
        head = ["step", "type", "status", "rows", "seconds", "output", "key"]
        return notebook.table(f"{self.pipeline}: {len(self.records)} steps in {self.store}", head, lines)

    def as_json(self, status: str = "") -> dict[str, Any]:
        """Return the run as `--json` prints it."""
        return {
            "pipeline": self.pipeline,
            "status": status or ("failed" if self.failed else "done"),
            "store": str(self.store),
            "steps": [record.as_json() for record in self.records],
            "outputs": {
                name: {"path": str(record.artifact.path) if record.artifact else None, "key": record.key}
                for name, record in self.outputs.items()
            },
        }


class Interrupted(KeyboardInterrupt):
    """A run that was interrupted; it carries what had become of the steps."""

    def __init__(self, run: Run) -> None:
        """Keep the `run`."""
        self.run = run
        super().__init__()
