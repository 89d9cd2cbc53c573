"""How each run went: what it was about to do, and what became of every step, written while it goes on.

STORE/history/RUN.jsonl   a line on the run and its plan, then one for each thing that happens

`runs/` says what a pipeline's file used last; here every run is kept, also one that failed or was killed, so that
somebody else can watch it and compare it with an earlier one. Nothing depends on it: where it can't be written, nothing
is written, and the oldest ones go as new ones come.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from potstill.engine.encoding import KEY_LENGTH
from potstill.engine.processes import Process, run_goes_on, run_name
from potstill.engine.store import lines
from potstill.engine.store.pins import EXPIRY_SECONDS
from potstill.engine.store.run_records import Origin

FOLDER = "history"
"""Folder of a store that holds them."""
MOST = 200
"""Runs of a store that are remembered."""
FLUSH_SECONDS = 0.5
"""How long a line waits for others, so that a run of many hits writes seldom."""
PROGRESS_SECONDS = 1.0
"""How often a running step's progress is written at first; later only after a hundredth of its time."""

ENDS = ("done", "failed", "interrupted")
"""How a run says that it ended."""
STATES = ("running", "hit", "ran", "failed", "skipped")
"""How it says what became of a step."""
_KEY = re.compile(f"[0-9a-f]{{{KEY_LENGTH}}}")

RunState = Literal["running", "done", "failed", "interrupted", "killed", "recorded"]
StepState = Literal["waiting", "running", "hit", "ran", "failed", "skipped", "stopped", "kept", "gone"]


@dataclass(frozen=True)
class PlannedStep:
    """A step as a run plans it."""

    name: str
    """Its name in the pipeline."""
    type: str
    """Its class."""
    inputs: tuple[str, ...] = ()
    """Names of the steps that it needs."""


@dataclass(frozen=True)
class StepHistory:
    """What became of a step in one run."""

    name: str
    """Its name in the pipeline."""
    type: str
    """Its class."""
    inputs: tuple[str, ...] = ()
    """Names of the steps that it needs."""
    state: StepState = "waiting"
    """`skipped` is one that needed a step that failed, `stopped` one that still ran when its run ended; of
    a run without a history only whether its result is `kept` in the store or `gone` is known."""
    key: str = ""
    """Its key, once it is known."""
    seconds: float = 0.0
    """How long it ran."""
    started: float = 0.0
    """When it was started, by the clock; 0 if it was not."""
    rows: int | None = None
    """Rows that it made."""
    error: str = ""
    """Why it failed, or was skipped."""
    progress: Mapping[str, Any] = field(default_factory=dict)
    """How far it is: `done`, `total`, `tokens`, `note`."""


@dataclass(frozen=True)
class RunHistory:
    """One run."""

    id: str
    """Its name, which no other run has."""
    origin: Origin
    """Whose run."""
    state: RunState
    """`killed` is one that ended without a word, `recorded` one without a history, by an earlier version."""
    began: float
    """When, by the clock."""
    ended: float | None = None
    """When; None of one that goes on, or was killed."""
    steps: tuple[StepHistory, ...] = ()
    """Its steps, what is made first coming first."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Name of the step behind each output."""
    warnings: tuple[str, ...] = ()
    """What it warned of."""
    damaged: int = 0
    """Lines that can't be read any more."""

    def counted(self) -> dict[str, int]:
        """Return how many steps are in each state."""
        counts: dict[str, int] = {}
        for step in self.steps:
            counts[step.state] = counts.get(step.state, 0) + 1
        return counts


class History:
    """Writes the history of one run; what can't be written is left out."""

    def __init__(self, root: Path, origin: Origin) -> None:
        """Write into the store at `root`; nothing is written before the plan is known."""
        self._folder = root / FOLDER
        self._path = self._folder / f"{run_name()}.jsonl"
        self._origin = origin
        self._waiting: list[dict[str, Any]] = []
        self._flushed = 0.0

    def planned(self, steps: Sequence[PlannedStep], outputs: Mapping[str, str]) -> None:
        """Note what the run is about to do."""
        plan = {"steps": [asdict(step) for step in steps], "outputs": dict(outputs)}
        self._add({**asdict(self._origin), **asdict(Process.this()), **plan}, at_once=True)
        with contextlib.suppress(OSError):
            _forget(self._folder)

    def started(self, step: str, key: str) -> None:
        """Note that a step runs."""
        self._add({"step": step, "state": "running", "key": key}, at_once=True)

    def finished(
        self,
        step: str,
        state: str,
        *,
        key: str | None = None,
        seconds: float | None = None,
        rows: int | None = None,
        error: str | None = None,
    ) -> None:
        """Note how a step ended; what is None is left out."""
        values = {"step": step, "state": state, "key": key, "seconds": seconds, "rows": rows, "error": error}
        self._add({name: value for name, value in values.items() if value is not None})

    def warned(self, message: str) -> None:
        """Note a warning."""
        self._add({"warning": message})

    def progressing(self, step: str) -> Callable[[Mapping[str, Any]], None]:
        """Return what notes a step's progress, now and then."""
        began, due = time.monotonic(), 0.0

        def note(progress: Mapping[str, Any]) -> None:
            nonlocal due
            now = time.monotonic()
            if now >= due:
                due = now + max(PROGRESS_SECONDS, (now - began) / 100)
                self._add({"step": step, "progress": dict(progress)}, at_once=True)

        return note

    def close(self, state: RunState) -> None:
        """Note how the run ended."""
        self._add({"over": state}, at_once=True)

    def _add(self, value: dict[str, Any], *, at_once: bool = False) -> None:
        """Write a line, soon or at once."""
        self._waiting.append({**value, "time": time.time()})
        if at_once or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._flushed = time.monotonic()
            with contextlib.suppress(OSError):
                self._folder.mkdir(parents=True, exist_ok=True)
                lines.append(self._path, self._waiting)
            self._waiting = []


def histories(root: Path) -> list[RunHistory]:
    """Return the runs that a store remembers, the latest first; a file that can't be read counts for nothing."""
    runs = [run for path in (root / FOLDER).glob("*.jsonl") if (run := read(path)) is not None]
    return sorted(runs, key=lambda run: (run.state == "running", run.began), reverse=True)


def read(path: Path) -> RunHistory | None:
    """Return what the file of a run says, or None if it is gone, or lost its beginning."""
    try:
        status = path.stat()
        run = _parsed(path, status.st_size, status.st_mtime_ns)
    except OSError:
        return None
    if run is None or run.state != "running" or _goes_on(path, status.st_mtime):
        return run
    return replace(run, state="killed", steps=tuple(map(_stopped, run.steps)))


@lru_cache(maxsize=2 * MOST)  # who watches a store asks every second
def _parsed(path: Path, _size: int, _changed: int) -> RunHistory | None:
    """Return what a file says in the state that it has; a run that has not said that it is over runs."""
    content = lines.read(path)
    header = next((value for value in content.values if isinstance(value.get("steps"), list)), None)
    if header is None:
        return None
    steps = {step.name: step for value in header["steps"] if (step := _planned(value)) is not None}
    over, warnings = None, []
    for value in content.values:
        name = value.get("step")
        if isinstance(name, str) and name in steps:
            steps[name] = _after(steps[name], value)
        elif "warning" in value:
            warnings.append(str(value["warning"]))
        elif value.get("over") in ENDS:
            over = value
    return RunHistory(
        id=path.stem,
        origin=Origin(*(str(header.get(name, "")) for name in ("pipeline", "file", "host"))),
        state=over["over"] if over else "running",
        began=_moment(header),
        ended=_moment(over) if over else None,
        steps=tuple(map(_stopped, steps.values())) if over else tuple(steps.values()),
        outputs={str(name): str(step) for name, step in dict(header.get("outputs") or {}).items()},
        warnings=tuple(warnings),
        damaged=len(content.damaged),
    )


def _moment(value: Mapping[str, Any]) -> float:
    """Return when a line was written; 0 where it does not say so."""
    moment = value.get("time")
    return float(moment) if isinstance(moment, (int, float)) else 0.0


def _goes_on(path: Path, touched: float) -> bool:
    """Return whether a run that did not say that it is over goes on: of another machine, whether it still writes."""
    alive = run_goes_on(path.stem)
    if alive is None:
        pin = path.parents[1] / "pins" / path.name
        with contextlib.suppress(OSError):
            touched = max(touched, pin.stat().st_mtime)
        return time.time() - touched < EXPIRY_SECONDS
    return alive


def _planned(value: object) -> StepHistory | None:
    """Return a step that a header names, or None if it is none."""
    if not isinstance(value, Mapping) or not isinstance(value.get("name"), str):
        return None
    inputs = value.get("inputs")
    return StepHistory(
        value["name"], str(value.get("type", "")), tuple(map(str, inputs)) if isinstance(inputs, list) else ()
    )


def _after(step: StepHistory, value: Mapping[str, Any]) -> StepHistory:
    """Return a step as a line leaves it."""
    if isinstance(value.get("progress"), Mapping):
        return replace(step, progress=value["progress"])
    state, key = value.get("state"), value.get("key")
    changes: dict[str, Any] = {"state": state} if state in STATES else {}
    changes |= {"key": key} if isinstance(key, str) and _KEY.fullmatch(key) else {}
    changes |= {"seconds": float(value["seconds"])} if isinstance(value.get("seconds"), (int, float)) else {}
    changes |= {"rows": value["rows"]} if isinstance(value.get("rows"), int) else {}
    changes |= {"error": str(value["error"])} if "error" in value else {}
    if state == "running":
        changes |= {"started": _moment(value), "progress": {}, "error": ""}
    return replace(step, **changes)


def _stopped(step: StepHistory) -> StepHistory:
    """Return a step of a run that is over: one that still ran did not end."""
    return replace(step, state="stopped") if step.state == "running" else step


def _forget(folder: Path) -> None:
    """Delete the oldest runs beyond `MOST`."""
    files = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[MOST:]:
        path.unlink(missing_ok=True)
