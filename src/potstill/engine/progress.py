"""Who watches a run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from typing import IO, TYPE_CHECKING

from potstill.engine.context import Progress, silent
from potstill.engine.records import Record, Watcher
from potstill.engine.terminal import plain, say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

LINE_SECONDS = 10.0
"""How often a running step prints a plain line."""


def watcher_for(stream: IO[str]) -> Watcher:
    """Return the watcher that fits a stream."""
    return Live(stream) if stream.isatty() else Lines(stream)


class Silent:
    """Shows nothing."""

    def planned(self, steps: list[str]) -> None:
        """Ignore the steps."""

    def started(self, step: str) -> Progress:
        """Ignore progress."""
        return silent

    def finished(self, record: Record) -> None:
        """Ignore the result."""

    def said(self, message: str) -> None:
        """Ignore the warning."""

    def close(self) -> None:
        """Do nothing."""


class Lines:
    """Plain lines: one when a step ends, and one now and then while it runs."""

    def __init__(self, stream: IO[str]) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._total = 0
        self._done = 0

    def planned(self, steps: list[str]) -> None:
        """Remember how many steps there are."""
        self._total = len(steps)

    def started(self, step: str) -> Progress:
        """Print that the step starts; return a function that prints its progress now and then."""
        self._print(f"{step}: started")
        begun = last = time.monotonic()

        def report(done: int, total: int | None = None, *, tokens: int = 0, note: str = "") -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= LINE_SECONDS:
                last = now
                self._print(f"{step}: {describe(done, total, tokens, note, now - begun)}")

        return report

    def finished(self, record: Record) -> None:
        """Print how the step ended."""
        self._done = min(self._done + 1, self._total)  # a step that is looked up again ends again
        self._print(f"[{self._done}/{self._total}] {ending(record)}")

    def said(self, message: str) -> None:
        """Print a warning."""
        self._print(f"warning: {message}")

    def close(self) -> None:
        """Do nothing."""

    def _print(self, text: str) -> None:
        say(text, self._stream)


class Live:
    """A live table of the running steps, with finished ones printed above it."""

    def __init__(self, stream: IO[str]) -> None:
        """Draw on the terminal behind `stream`."""
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        self._console: Console = Console(file=stream)
        self._bars: Bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._total = 0
        self._done = 0

    def planned(self, steps: list[str]) -> None:
        """Start drawing."""
        self._total = len(steps)
        self._bars.start()

    def started(self, step: str) -> Progress:
        """Add a bar for the step."""
        from rich.markup import escape

        task = self._bars.add_task(escape(plain(step)), total=None, note="")
        self._tasks[step] = task
        begun = time.monotonic()

        def report(done: int, total: int | None = None, *, tokens: int = 0, note: str = "") -> None:
            text = plain(describe(done, total, tokens, note, time.monotonic() - begun))
            self._bars.update(task, completed=done, total=total, note=text)

        return report

    def finished(self, record: Record) -> None:
        """Print how the step ended, and remove its bar."""
        self._done = min(self._done + 1, self._total)  # a step that is looked up again ends again
        if record.name in self._tasks:
            self._bars.remove_task(self._tasks.pop(record.name))
        colour = {"hit": "dim", "ran": "green", "failed": "bold red", "skipped": "yellow"}[record.status]
        line = f"[{self._done}/{self._total}] {ending(record)}"
        self._console.print(plain(line), style=colour, markup=False, highlight=False)

    def said(self, message: str) -> None:
        """Print a warning."""
        self._console.print(plain(f"warning: {message}"), style="yellow", markup=False, highlight=False)

    def close(self) -> None:
        """Stop drawing."""
        self._bars.stop()


def describe(done: int, total: int | None, tokens: int, note: str, seconds: float) -> str:
    """Return progress in words: how far, how fast, how long it will still take."""
    parts = [f"{done:,}/{total:,}" if total else f"{done:,}"]
    if seconds > 0.5 and done:
        parts.append(f"{done / seconds:,.1f}/s")
        if tokens:
            parts.append(f"{tokens / seconds:,.0f} tokens/s")
        if total and total > done:
            parts.append(f"{(total - done) * seconds / done:,.0f} s left")
    return "  ".join(parts + ([note] if note else []))


def ending(record: Record) -> str:
    """Return one line on how a step ended."""
    rows = record.artifact.rows if record.artifact else None
    size = f", {rows:,} rows" if rows is not None else ""
    if record.status == "ran":
        return f"{record.name}: done in {record.seconds:.1f} s{size}"
    if record.status == "hit":
        return f"{record.name}: cached{size}"
    return f"{record.name}: {record.status}: {record.error}"
