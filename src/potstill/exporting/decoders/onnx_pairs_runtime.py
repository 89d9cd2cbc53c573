"""ONNX Runtime as a runtime that answers for an exported encoder-decoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from potstill.exporting.decoders.onnx_pairs import DECODER, ENCODER, EXACT
from potstill.exporting.decoders.pairs_probe import greedy, pair_scores, rules_of, source_of


class OnnxPairs:
    """A folder with the two halves of an encoder-decoder."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Load the halves in `folder`; `threads` of 0 leaves their number to ONNX Runtime."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry(*EXACT)
        self.encoder, self.decoder = (
            onnxruntime.InferenceSession(str(folder / name), options) for name in (ENCODER, DECODER)
        )
        self.rules = rules_of(_settings(folder / "generation_config.json"), _settings(folder / "config.json"))
        self.tokenizer = _tokenizer(folder)
        self._read: tuple[list[int], Any] = ([], None)

    def log_probabilities(self, ids: Sequence[int], at_once: int | None = None) -> Sequence[float]:
        """Return log p of `ids[1:]`, a pair; those of the source are 0, as nothing predicts them."""
        return pair_scores(self._logits, self.rules.start, ids)

    def continued(self, ids: Sequence[int], count: int) -> Sequence[int]:
        """Return up to `count` tokens that greedy decoding writes to a source."""
        source = source_of(ids)
        return greedy(lambda read: self._logits(source, read), self.rules, count)

    def tokenized(self, text: str) -> Sequence[int]:
        """Return the token ids of `text` without those that the tokenizer adds at its ends."""
        return list(self.tokenizer(text))

    def title(self) -> str:
        """Return the name and version."""
        from importlib.metadata import version

        return f"onnxruntime {version('onnxruntime')}"

    def _logits(self, source: list[int], read: list[int]) -> Any:
        """Return the logits [T, V] behind what the decoder reads; a source is encoded once."""
        import numpy as np

        if self._read[0] != source:
            self._read = source, self.encoder.run(None, {"input_ids": np.array([source])})[0]
        return self.decoder.run(None, {"input_ids": np.array([read]), "encoder_hidden_states": self._read[1]})[0][0]


def _settings(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _tokenizer(folder: Path) -> Any:
    """Return a function from texts to tokens: of `tokenizers` where its file is there, else of transformers."""
    if (folder / "tokenizer.json").is_file():
        from tokenizers import Tokenizer

        fast = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return lambda text: fast.encode(text, add_special_tokens=False).ids
    from transformers import AutoTokenizer

    slow = AutoTokenizer.from_pretrained(folder)
    return lambda text: slow(text, add_special_tokens=False)["input_ids"]
