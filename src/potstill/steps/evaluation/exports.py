"""Checks, before anything runs, that an evaluation step can read an export."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from potstill.engine.step import Output, Step
from potstill.errors import BadInput, Problem
from potstill.models.identity import is_local

Reads = Literal["language models", "classifiers", "encoder-decoders", "nothing"]
"""Which exports a step measures."""
WHO: Mapping[Reads, tuple[str, str]] = {
    "language models": ("a language model", "EvaluatePerplexity measures it"),
    "classifiers": ("a classifier or sentence encoder", "EvaluateClassifier measures classifiers"),
    "encoder-decoders": ("an encoder-decoder", "EvaluateTranslation measures it"),
}
"""What each is called, and what measures it."""


def export_problems(model: object, reads: Reads, feature: str) -> Iterator[Problem]:
    """Yield why the step `feature`, which measures the exports that it `reads`, can't measure `model`."""
    from potstill.exporting.reading import missing_package

    fmt, kinds = _export(model)
    if not fmt:
        return
    if reads not in kinds:
        what, how = WHO[kinds[0]]
        text = f"is an export ({fmt}) of {what}, which {feature} does not read: {how}, or give the model it was made of"
        yield Problem("", "model", text)
        return
    missing = missing_package(fmt, feature, encoder=reads != "language models")
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


def _export(model: object) -> tuple[str, tuple[Reads, ...]]:
    """Return the format of an export, and of what kind it may be; no format for what is no export."""
    from potstill.exporting.reading import format_in, is_encoder, is_encoder_decoder
    from potstill.steps.exporting.encoder import ExportEncoder
    from potstill.steps.exporting.language_model import Export

    if isinstance(model, Output):
        return _export(model.step)
    if isinstance(model, ExportEncoder):
        return model.format, ("classifiers",)
    if isinstance(model, Export):
        # what model it is given shows when it runs
        kinds: tuple[Reads, ...] = ("language models", *(("encoder-decoders",) if model.format == "onnx" else ()))
        return ("" if model.format == "compressed-tensors" else model.format), kinds
    if not isinstance(model, Step | str | Path) and hasattr(model, "model"):
        return _export(model.model)  # a teacher names one
    if isinstance(model, str | Path) and is_local(model) and Path(model).expanduser().is_dir():
        folder = Path(model).expanduser()
        two_sided: Reads = "encoder-decoders" if is_encoder_decoder(folder) else "language models"
        return format_in(folder), ("classifiers" if is_encoder(folder) else two_sided,)
    return "", ()
