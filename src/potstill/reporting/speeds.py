"""Columns of speed: one for each runtime, as speeds of two of them say nothing of the models."""

from __future__ import annotations

from dataclasses import dataclass

from potstill.reporting.kinds import ANSWERS, Figure
from potstill.reporting.model_table import Measured, Section
from potstill.reporting.ruling import runtime_of

UNNAMED = "an unnamed runtime"
"""Head of the models whose runtime was not kept."""


@dataclass(frozen=True)
class SpeedColumn:
    """A figure of speed, of the models that one runtime ran."""

    figure: Figure
    """The figure."""
    runtime: str = ""
    """The runtime; empty where all models have the same."""

    @property
    def title(self) -> str:
        """Return the head of the column."""
        return f"{self.figure.title}, {self.runtime}" if self.runtime else self.figure.title

    def of(self, model: Measured) -> float | None:
        """Return a model's figure, if this runtime ran it."""
        return model.figure(self.figure.name) if self.runtime in ("", runtime_of(model) or UNNAMED) else None


def speed_columns(section: Section) -> list[SpeedColumn]:
    """Return the columns of a section: its figures of speed, once for each runtime that any was measured in."""
    speeds = section.kind.speeds
    timed = [model for model in section.models if any(model.figure(speed.name) is not None for speed in speeds)]
    runtimes = list(dict.fromkeys(runtime_of(model) or UNNAMED for model in timed))
    if not timed and section.kind is not ANSWERS:
        return []  # of kinds whose evaluation times nothing, only MeasureCost says how fast their models are
    if len(runtimes) < 2:
        return [SpeedColumn(speed) for speed in speeds]
    return [SpeedColumn(speed, runtime) for runtime in runtimes for speed in speeds]
