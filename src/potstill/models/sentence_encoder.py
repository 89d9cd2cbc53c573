"""Adapter of sentence-transformers: texts in, vectors out; finished chunks are journalled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.engine.encoding import digest
from potstill.errors import BadInput, MissingExtra, Problem
from potstill.models.loading import check_complete
from potstill.models.positions import positions_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource, SentenceModel

CHUNK = 1024
"""Texts encoded together, sorted by length within, and then journalled: what a kill costs at most."""
BATCH = 64
"""Texts in one pass through the model."""


class Encoder:
    """A sentence encoder, loaded when the first text comes that is not in the journal."""

    def __init__(self, model: ModelSource, context: Context, *, prefix: str = "", normalise: bool = True) -> None:
        """Use the `model` folder or Hub id; each text gets `prefix`, each vector, with `normalise`, length 1."""
        self._name = str(model)
        self._context = context
        self._prefix = prefix
        self._normalise = normalise
        self._model: SentenceModel | None = None
        self._cut = 0

    def chunks(self, texts: Iterable[str]) -> Iterator[NDArray[np.float32]]:
        """Yield the vectors [up to CHUNK, D] of the texts, in order."""
        source = iter(texts)
        done = 0
        while chunk := list(islice(source, CHUNK)):
            yield self._chunk(chunk)
            done += len(chunk)
            self._context.progress(done)
        if self._cut:
            text = f"{self._cut} texts are longer than the encoder reads: only their beginnings count"
            self._context.notes.setdefault("warnings", []).append(text)
            self._context.logger.warning(text)
            self._cut = 0

    def matrix(self, texts: Iterable[str]) -> NDArray[np.float32]:
        """Return the vectors of all texts, [N, D]."""
        import numpy as np

        return np.concatenate(list(self.chunks(texts)))

    def _chunk(self, texts: list[str]) -> NDArray[np.float32]:
        """Return the vectors of one chunk from the journal, or compute and journal them."""
        import numpy as np

        key = digest(["embeddings", self._name, self._prefix, self._normalise, texts])
        entry = self._context.journal.get(key)
        if entry is None:
            vectors, cut = self._encode(texts)
            entry = {"width": vectors.shape[1], "cut": cut, "vectors": vectors.tobytes()}
            self._context.journal.put(key, entry)
        self._cut += entry["cut"]
        return np.frombuffer(entry["vectors"], np.float32).reshape(-1, entry["width"])

    def _encode(self, texts: list[str]) -> tuple[NDArray[np.float32], int]:
        """Run the model, which sorts the texts by length itself; returns also how many texts it cut."""
        import numpy as np

        self._model = self._model or load(self._name)
        prefixed = [self._prefix + text for text in texts]
        # verbose=False: the tokenizer would warn of every long text; they are counted here
        tokens = self._model.tokenizer(prefixed, truncation=False, verbose=False)["input_ids"]
        longest = self._model.max_seq_length
        cut = sum(len(ids) > longest for ids in tokens) if longest else 0
        vectors = self._model.encode(
            prefixed, batch_size=BATCH, normalize_embeddings=self._normalise, show_progress_bar=False
        )
        # `tobytes` and `frombuffer` need one dtype and C order, whatever the model computes in
        return np.ascontiguousarray(vectors, np.float32), cut


def load(name: str | Path) -> SentenceModel:
    """Return the sentence-transformers model in a folder, or of a Hub id; safetensors only.

    Raises:
        MissingExtra: sentence-transformers is not installed.
    """
    try:
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError as error:
        if error.name != "sentence_transformers":
            raise
        raise MissingExtra("an encoder", "sentence-transformers", "embeddings") from error
    _check_weights(name)
    options = {"use_safetensors": True}
    model: SentenceModel = SentenceTransformer(str(name), trust_remote_code=False, model_kwargs=options)
    keep_within_positions(model)
    return model


def load_float32(folder: Path, seed: int) -> Any:
    """Return the encoder in `folder`, in float32; new parts are drawn by `seed`.

    Raises:
        BadInput: it is none.
        MissingExtra: sentence-transformers is not installed.
    """
    import torch

    try:
        from sentence_transformers import SentenceTransformer
    except ModuleNotFoundError as error:
        if error.name != "sentence_transformers":
            raise
        raise MissingExtra("SentenceEncoder", "sentence-transformers", "embeddings") from error
    _check_weights(folder)
    torch.manual_seed(seed)
    options = {"use_safetensors": True, "dtype": torch.float32}
    try:
        model = SentenceTransformer(
            str(folder), trust_remote_code=False, model_kwargs=options, local_files_only=True, device="cpu"
        )
    except (OSError, ValueError) as error:
        raise BadInput(f"the model {folder} is no encoder of texts: {error}") from error
    keep_within_positions(model)
    inner = _transformer(model)
    if hasattr(inner, "gradient_checkpointing_enable"):
        # the training loop asks the model as a whole
        model.gradient_checkpointing_enable = inner.gradient_checkpointing_enable
    return model


def _check_weights(name: str | Path) -> None:
    """Check the transformer of a sentence encoder, which sentence-transformers would complete with random weights.

    Raises:
        BadInput: it lacks weights, or has an adapter beside them.
    """
    from transformers import AutoModel

    folder = Path(name)
    modules = folder / "modules.json"
    if modules.is_file():
        parts = json.loads(modules.read_text(encoding="utf-8"))
        folder /= parts[0].get("path", "") if parts else ""
    # of a Hub id the weights come with the encoder; a folder without a config holds no transformer (word vectors)
    if (folder / "config.json").is_file():
        check_complete(AutoModel, folder)


def keep_within_positions(model: Any) -> None:
    """Lower the length of texts to what the model reads; sentence-transformers counts positions that are not used."""
    config = getattr(_transformer(model), "config", None)
    positions = None if config is None else positions_of(config)
    if positions is not None and (model.max_seq_length is None or model.max_seq_length > positions):
        model.max_seq_length = positions


def _transformer(model: Any) -> Any:
    """Return the model of transformers within one of sentence-transformers."""
    return getattr(model[0], "model", None) or getattr(model[0], "auto_model", None)  # before version 6


def texts_in(rows: Iterable[Any], column: str, field: str = "column") -> Iterator[str]:
    """Yield the texts of a column.

    Raises:
        BadInput: a row has no text there.
    """
    for number, row in enumerate(rows):
        if not isinstance(row[column], str):
            name = row.get("id", number)
            raise BadInput(Problem("", field, f"row {name} has {row[column]!r:.40} in {column}, which is no text"))
        yield row[column]
