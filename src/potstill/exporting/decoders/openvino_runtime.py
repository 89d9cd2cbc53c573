"""OpenVINO as a runtime that answers for an export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.exporting.decoders.openvino import FILE, without_telemetry
from potstill.exporting.logprobs import chosen
from potstill.exporting.probe import ends_in

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class OpenVINO:
    """A stateful model in OpenVINO's own format, and its tokenizer."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """Compile the model in `folder` for the CPU, with the cache in float32, so that the weights are what is judged.

        The runtime's default for the cache is int8.
        """
        without_telemetry()
        import openvino
        import openvino_tokenizers  # noqa: F401 - it brings the operators of the tokenizer

        core = openvino.Core()
        precise = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32"}
        options = {**precise, "INFERENCE_NUM_THREADS": str(max(1, threads))}
        self.request: Any = core.compile_model(str(folder / FILE), "CPU", options).create_infer_request()
        self.tokenizer = core.compile_model(str(folder / "openvino_tokenizer.xml"), "CPU")
        self.version = openvino.__version__
        self.ends = ends_in(folder)
        self.past = 0

    def log_probabilities(self, ids: Sequence[int], at_once: int | None = None) -> Sequence[float]:
        """Return log p of `ids[1:]`: the first `at_once` are read together, the rest token by token from the cache."""
        import numpy as np

        first = max(1, len(ids) // 2) if at_once is None else min(at_once, len(ids) - 1)
        self.request.reset_state()
        logits = [self._read(ids[:first], 0)]
        logits += [self._read([token], first + number) for number, token in enumerate(ids[first:-1])]
        return chosen(np.concatenate(logits)[: len(ids) - 1], ids[1:])

    def continued(self, ids: Sequence[int], count: int) -> Sequence[int]:
        """Return the tokens that greedy decoding adds."""
        self.begin(len(ids) + count)
        tokens = [int(self.read(ids).argmax())]
        while len(tokens) < count and tokens[-1] not in self.ends:
            tokens.append(int(self.read(tokens[-1:]).argmax()))
        return tokens

    def begin(self, count: int) -> None:
        """Forget what was read; the cache grows by itself."""
        self.request.reset_state()
        self.past = 0

    def read(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Read tokens behind those that were read, and return the logits [V] of the one that follows."""
        last: NDArray[np.float32] = self._read(ids, self.past)[-1]
        self.past += len(ids)
        return last

    def tokenized(self, text: str) -> Sequence[int]:
        """Return the token ids of `text`."""
        return [int(token) for token in self.tokenizer([text])["input_ids"][0]]

    def title(self) -> str:
        """Return the name and version."""
        return f"OpenVINO {self.version.split('-')[0]}"

    def _read(self, ids: Sequence[int], past: int) -> Any:
        """Read tokens after `past` others; returns logits [T, V]."""
        import numpy as np

        total = past + len(ids)
        inputs = {
            "input_ids": np.array([ids], dtype=np.int64),
            "attention_mask": np.ones((1, total), dtype=np.int64),
            "position_ids": np.arange(past, total, dtype=np.int64)[None],
            "beam_idx": np.zeros(1, dtype=np.int32),
        }
        return self.request.infer(inputs)["logits"][0].copy()
