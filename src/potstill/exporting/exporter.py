"""What a format is: it writes a model, names the runtimes that can check it, and says how it is served."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from potstill.errors import MissingExtra

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel
    from potstill.models.protocols import Tokenizer

RuntimeName = Literal[
    "transformers",
    "vllm",
    "gguf-transformers",
    "llama.cpp",
    "onnxruntime-genai",
    "onnxruntime",
    "openvino",
    "executorch",
]
"""Who can answer."""


@dataclass(frozen=True)
class Source:
    """The model that is exported."""

    folder: Path
    """Its folder."""
    model: PretrainedModel
    """It in memory, in float32 unless it is quantized; a format may change its weights to those that it wrote."""
    tokenizer: Tokenizer
    """Its tokenizer."""
    name: str
    """What it is called."""


@dataclass(frozen=True)
class Written:
    """What a format did."""

    is_exact: bool
    """Whether the model in memory now has the very weights that were written."""
    notes: tuple[tuple[str, object], ...] = ()
    """What the card should say about it, by name."""


@dataclass(frozen=True)
class Serving:
    """How an export is run: the text of its `SERVE.md`."""

    install: str
    """Shell command that installs the runtime, or where it is to be had."""
    intro: str
    """What the command does, in a sentence."""
    command: str
    """The command itself, run in the folder."""
    language: str = "sh"
    """`sh`, or `python` for a script."""
    more: str = ""
    """What else there is to know, in Markdown."""


class Exporter(Protocol):
    """One format at one precision."""

    def check(self, source: Source) -> None:
        """Make sure, before anything is written, that the packages are there and that the model fits.

        Raises:
            BadInput: they aren't, or it doesn't; all problems together.
        """

    def write(self, source: Source, folder: Path) -> Written:
        """Write the weights and what the runtime reads besides into `folder`, which holds the tokenizer already."""

    def readers(self) -> tuple[RuntimeName, ...]:
        """Return who can answer for the export here: the serving runtime first, where it is installed."""

    def serving_runtime(self) -> RuntimeName:
        """Return who serves the export."""

    def serving(self, source: Source) -> Serving:
        """Return how it is served."""

    def rise(self) -> float:
        """Return the largest relative rise of perplexity that is normal for the precision."""


def need_packages(fmt: str, packages: Sequence[str], step: str = "Export") -> None:
    """Make sure that what a format of a `step` imports is installed; the extra is called as the format is.

    Raises:
        MissingExtra: a package is not; names it and the pip line.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(f'{step}(format="{fmt}")', package.replace("_", "-"), fmt)
