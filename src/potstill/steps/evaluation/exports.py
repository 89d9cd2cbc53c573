"""Checks, before anything runs, that an evaluation step can read an export."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from potstill.engine.step import Output, Step
from potstill.errors import BadInput, Problem
from potstill.models.identity import is_local

Reads = Literal["language models", "classifiers", "nothing"]
"""Which exports a step measures."""


def export_problems(model: object, reads: Reads, feature: str) -> Iterator[Problem]:
    """Yield why the step `feature`, which measures the exports that it `reads`, can't measure `model`."""
    from potstill.exporting.reading import missing_package

    fmt, encoder = _export(model)
    if not fmt:
        return
    if reads == "nothing" or encoder != (reads == "classifiers"):
        what = "a classifier or sentence encoder" if encoder else "a language model"
        how = "EvaluateClassifier measures classifiers" if encoder else "EvaluatePerplexity measures it"
        text = f"is an export ({fmt}) of {what}, which {feature} does not read: {how}, or give the model it was made of"
        yield Problem("", "model", text)
        return
    missing = missing_package(fmt, feature, encoder=encoder)
    if missing is not None:
        yield Problem("", "model", str(missing))


def refuse_export(folder: Path, reads: Reads, feature: str) -> None:
    """Check, where a step runs, that it measures what lies in `folder`, if that is an export.

    Raises:
        BadInput: it doesn't, or a package is missing.
    """
    problems = list(export_problems(folder, reads, feature))
    if problems:
        raise BadInput(*problems)


def _export(model: object) -> tuple[str, bool]:
    """Return the format of an export, and whether it is one of an encoder; no format for what is no export."""
    from potstill.exporting.reading import format_in, is_encoder
    from potstill.steps.exporting.encoder import ExportEncoder
    from potstill.steps.exporting.language_model import Export

    if isinstance(model, Output):
        return _export(model.step)
    if isinstance(model, ExportEncoder):
        return model.format, True
    if isinstance(model, Export):
        return ("" if model.format == "compressed-tensors" else model.format), False
    if not isinstance(model, Step | str | Path) and hasattr(model, "model"):
        return _export(model.model)  # a teacher names one
    if isinstance(model, str | Path) and is_local(model) and Path(model).expanduser().is_dir():
        folder = Path(model).expanduser()
        return format_in(folder), is_encoder(folder)
    return "", False
