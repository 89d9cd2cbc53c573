"""A measure of meaning: the cosine of two texts under a sentence encoder that lies on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from potstill.metrics.measures.measure import Gold, Measure, Row, golds_of
from potstill.models.card import name_of
from potstill.models.identity import model_identity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from potstill.models.protocols import SentenceModel

KEPT = 4096
"""Texts whose vectors are kept, as right answers come again."""


@dataclass(frozen=True)
class EmbeddingSimilarity(Measure):
    """Cosine of the answer and the nearest right one under a sentence encoder; from -1 to 1.

    N. Reimers and I. Gurevych, "Sentence-BERT", EMNLP 2019, section 3. Its figure is named after the encoder, as
    those of different ones can't be compared. The encoder is loaded when the model that is measured has been freed, and
    its content is part of the step's key. Needs the extra `embeddings`.
    """

    model: str | Path
    """Folder or Hub id of a sentence-transformers encoder."""

    largest: ClassVar[float | None] = 1.0
    smallest: ClassVar[float | None] = -1.0

    @property
    def name(self) -> str:
        """`embedding_similarity`, with the name of the encoder."""
        return f"embedding_similarity({name_of(str(self.model))})"

    def identity(self) -> dict[str, Any]:
        """Return what a step's key holds: the encoder's content, not where it lies."""
        return {"model": model_identity(self.model)}

    def per_row(self, answer: str, gold: Gold, row: Row) -> float:
        """Return the highest cosine with a right answer.

        Raises:
            MissingExtra: sentence-transformers is not installed.
        """
        own = _vector(str(self.model), answer)
        return max(float(own @ _vector(str(self.model), one)) for one in golds_of(gold))


@lru_cache(maxsize=1)
def _encoder(model: str) -> SentenceModel:
    from potstill.models.sentence_encoder import load

    return load(model)


@lru_cache(maxsize=KEPT)
def _vector(model: str, text: str) -> NDArray[np.float32]:
    """Return the vector [D] of a text, of length 1."""
    import numpy as np

    vector = np.asarray(_encoder(model).encode([text], show_progress_bar=False)[0], np.float32)
    length = float(np.linalg.norm(vector))
    return vector / length if length else vector
