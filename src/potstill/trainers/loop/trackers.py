"""Where a training's curve goes besides the manifest: files in the working directory, and trackers by their library."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from potstill.errors import MissingExtra

if TYPE_CHECKING:
    from potstill.engine.context import Context

Tracker = Literal["csv", "tensorboard", "trackio", "wandb", "mlflow"]
"""What a training can report to: a file, or a library by its name."""
RUNS = Path("runs")
"""Folder of the working directory where files for trackers are written, as TensorBoard expects."""


def check_trackers(trackers: Sequence[Tracker]) -> None:
    """Check that the libraries of the `trackers` are there.

    Raises:
        MissingExtra: one is not installed.
    """
    for error in missing_trackers(trackers):
        raise error


def missing_trackers(trackers: Sequence[Tracker]) -> list[MissingExtra]:
    """Return an error for each of the `trackers` whose library is not installed."""
    missing = [tracker for tracker in trackers if tracker != "csv" and find_spec(tracker) is None]
    return [MissingExtra(f'report_to=("{tracker}",)', tracker, tracker) for tracker in missing]


def tracker_folder(context: Context) -> Path:
    """Return where files for trackers go: a training's own folder, so that several can be compared."""
    return RUNS / f"{context.step}-{context.key[:8]}"


def direct_tensorboard(context: Context) -> None:
    """Set where TensorBoard's callback writes, unless the user has."""
    # transformers reads it from the environment only
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(tracker_folder(context)))


def write_csv(curve: Sequence[Mapping[str, Any]], folder: Path) -> Path:
    """Write a curve as `curve.csv` in `folder`, one line for each point."""
    folder.mkdir(parents=True, exist_ok=True)
    # the log has training losses and evaluations, with different keys
    names = dict.fromkeys(name for point in curve for name in point)
    path = folder / "curve.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ["step", *(name for name in names if name != "step")])
        table.writeheader()
        table.writerows(curve)
    return path
