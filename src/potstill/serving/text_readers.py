"""Classifiers and sentence encoders that are loaded: texts in, probabilities or vectors out.

Shapes: N texts, C classes or D numbers of a vector.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput, PotstillError
from potstill.exporting.folder import SERVE
from potstill.exporting.reading import format_in
from potstill.models.loading import config_of, pretrained
from potstill.models.positions import positions_of
from potstill.serving.served_model import ServedModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH = 32
"""Texts that are read together."""
Network = Callable[[list[str]], "NDArray[np.float32]"]
"""Returns for N texts the logits [N, C] or the vectors [N, D]."""


@dataclass(frozen=True)
class TextReader:
    """A model that reads texts."""

    network: Network
    """The model with its tokenizer; the end of a text that is too long is cut."""
    tokenize: Callable[[list[str]], list[list[int]]]
    """Returns the token ids of whole texts."""
    limit: int
    """Tokens of a text that are read."""
    labels: tuple[str, ...] = ()
    """Names of the C classes; none where the model gives vectors."""
    several: bool = False
    """Whether each class is true or not by itself, so that probabilities don't add up to 1."""

    def read(self, texts: Sequence[str], between: Callable[[], None]) -> dict[str, Any]:
        """Return the `numbers` of each text, how many `tokens` they have, and of which the end was `cut`.

        `between` is called before each batch, and may raise to end it.

        Raises:
            PotstillError: the model gives NaN or infinite numbers.
        """
        import numpy as np

        numbers: list[list[float]] = []
        lengths = [len(ids) for ids in self.tokenize(list(texts))]
        for start in range(0, len(texts), BATCH):
            between()
            out = np.asarray(self.network(list(texts[start : start + BATCH])), np.float64)
            if not np.isfinite(out).all():
                raise PotstillError("the model gives NaN or infinite numbers: verify its artifact, or train it again")
            numbers += (self._probabilities(out) if self.labels else out).tolist()
        cut = [number for number, length in enumerate(lengths) if length > self.limit]
        return {"numbers": numbers, "tokens": sum(min(length, self.limit) for length in lengths), "cut": cut}

    def _probabilities(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probabilities [N, C] of `logits` [N, C]."""
        import numpy as np

        if self.several:
            return np.asarray(1 / (1 + np.exp(-logits)), np.float64)
        shares = np.exp(logits - logits.max(-1, keepdims=True))
        return np.asarray(shares / shares.sum(-1, keepdims=True), np.float64)


def reader_of(served: ServedModel, threads: int) -> TextReader:
    """Load a classifier or a sentence encoder.

    Raises:
        BadInput: it can't be loaded.
    """
    folder = Path(served.folder)
    if format_in(folder):
        return _exported(folder, served, threads)
    return _classifier(folder, threads) if served.kind == "classes" else _sentence_encoder(folder, threads)


def _classifier(folder: Path, threads: int) -> TextReader:
    """Return a classifier of transformers."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(max(1, threads))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: Any = pretrained(AutoModelForSequenceClassification, folder, "classify", {"dtype": "auto"})
    model = model.eval().to(device)
    tokenizer, limit = _tokenizer(folder), _limit(folder)

    def network(texts: list[str]) -> NDArray[np.float32]:
        batch = tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt")
        with torch.inference_mode():
            logits: NDArray[np.float32] = model(**batch.to(device)).logits.float().cpu().numpy()
        return logits

    several = model.config.problem_type == "multi_label_classification"
    return TextReader(network, _counting(tokenizer), limit, _labels(folder), several)


def _sentence_encoder(folder: Path, threads: int) -> TextReader:
    """Return an encoder of sentence-transformers, whose vectors are what its folder's modules make of them."""
    import torch

    from potstill.models.sentence_encoder import load

    torch.set_num_threads(max(1, threads))
    model = load(folder)
    limit = model.max_seq_length or 2**31

    def network(texts: list[str]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = model.encode(texts, batch_size=BATCH, show_progress_bar=False)
        return vectors

    return TextReader(network, _counting(model.tokenizer), limit)


def _exported(folder: Path, served: ServedModel, threads: int) -> TextReader:
    """Return an export, read by the runtime that it was written for."""
    from potstill.exporting.reading import session

    run, tokenizer, limit = session(folder, threads), _tokenizer(folder), _exported_limit(folder)

    def network(texts: list[str]) -> NDArray[np.float32]:
        batch = tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="np")
        out: NDArray[np.float32] = run({name: batch[name].astype("int64") for name in batch})
        return out

    labels = _labels(folder) if served.kind == "classes" else ()
    return TextReader(network, _counting(tokenizer), limit, labels)


def _exported_limit(folder: Path) -> int:
    """Return how many tokens an export reads, as its `SERVE.md` says; that is read and not run."""
    text = (folder / SERVE).read_text(encoding="utf-8")
    limit = re.search(r"^tokenizer\.enable_truncation\((\d+)\)$", text, re.MULTILINE)
    return int(limit.group(1)) if limit else _limit(folder)


def _limit(folder: Path) -> int:
    """Return how many tokens a model reads."""
    return positions_of(config_of(folder)) or 2**31


def _labels(folder: Path) -> tuple[str, ...]:
    """Return the names of the classes."""
    config = config_of(folder)
    return tuple(str(config.id2label[number]) for number in range(config.num_labels))


def _tokenizer(folder: Path) -> Any:
    """Load the tokenizer in a folder.

    Raises:
        BadInput: there is none.
    """
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder)
    except (ValueError, OSError) as error:
        raise BadInput(f"the tokenizer of {folder} can't be loaded: {error}") from error


def _counting(tokenizer: Any) -> Callable[[list[str]], list[list[int]]]:
    """Return a function to the token ids of whole texts; `verbose=False`, as it would warn of every long one."""
    return lambda texts: [list(ids) for ids in tokenizer(texts, truncation=False, verbose=False)["input_ids"]]
