"""What a format of exported encoders is: it writes a model, and says how it is served."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from potstill.exporting.encoders.model import EncoderModel
    from potstill.exporting.exporter import Serving

Precision = Literal["f32", "int8", "int4"]
"""How the weights are stored."""
Activations = Literal["tensor", "group"]
"""Which of a layer's inputs share a scale at 8 bits."""
Embeddings = Literal["int8", "int4"]
"""How the embeddings are stored at 4 bits."""
CHANGE = {"f32": 0.005, "int8": 0.1, "int4": 0.3}
"""Largest change of the answers that is normal, as a share of what lies between different texts."""
GROUP = 32
"""Input features, or numbers of an embedding, that share a scale at 4 bits."""


class EncoderExporter(Protocol):
    """One format at one precision."""

    def check(self, model: EncoderModel) -> None:
        """Make sure, before anything is written, that the model fits.

        Raises:
            BadInput: it doesn't.
        """

    def write(self, model: EncoderModel, folder: Path) -> Mapping[str, object]:
        """Write what the runtime reads into `folder`, and return what the card should say about it."""

    def package(self) -> str:
        """Return the package that serves it, as it is installed."""

    def change(self) -> float:
        """Return the largest change of the answers that is normal, as a share of what lies between different texts."""

    def serving(self, model: EncoderModel) -> Serving:
        """Return how it is served."""
