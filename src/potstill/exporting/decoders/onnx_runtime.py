"""onnxruntime-genai as a runtime that answers for an export."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.exporting.decoders.onnx import context_length
from potstill.exporting.logprobs import chosen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class GenAI:
    """A folder that onnxruntime-genai serves."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        """Load the model in `folder`."""
        import onnxruntime_genai

        self.package: Any = onnxruntime_genai
        config = onnxruntime_genai.Config(str(folder))
        options = {"session_options": {"intra_op_num_threads": max(1, threads)}}
        config.overlay(json.dumps({"model": {"decoder": options}}))
        self.model = onnxruntime_genai.Model(config)
        self.tokenizer = onnxruntime_genai.Tokenizer(self.model)
        self.longest = context_length(folder)
        self.reading: Any = None

    def log_probabilities(self, ids: Sequence[int], at_once: int | None = None) -> Sequence[float]:
        """Return log p of `ids[1:]`: the first `at_once` are read together, the rest token by token from the cache."""
        import numpy as np

        first = max(1, len(ids) // 2) if at_once is None else min(at_once, len(ids) - 1)
        generator = self._generator(len(ids))
        generator.append_tokens(np.array(ids[:first], dtype=np.int32))
        logits = [np.array(generator.get_output("logits"))[0]]
        for token in ids[first:-1]:
            generator.append_tokens(np.array([token], dtype=np.int32))
            logits.append(np.array(generator.get_output("logits"))[0])
        return chosen(np.concatenate(logits)[: len(ids) - 1], ids[1:])

    def continued(self, ids: Sequence[int], count: int) -> Sequence[int]:
        """Return the tokens that greedy decoding adds."""
        import numpy as np

        generator = self._generator(len(ids) + count)
        generator.append_tokens(np.array(ids, dtype=np.int32))
        tokens: list[int] = []
        while len(tokens) < count and not generator.is_done():
            generator.generate_next_token()
            tokens.append(int(generator.get_next_tokens()[0]))
        return tokens

    def begin(self, count: int) -> None:
        """Forget what was read, and make room for a text of `count` tokens."""
        self.reading = self._generator(count)

    def read(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Read tokens behind those that were read, and return the logits [V] of the one that follows."""
        import numpy as np

        self.reading.append_tokens(np.array(ids, dtype=np.int32))
        last: NDArray[np.float32] = np.array(self.reading.get_output("logits"))[0, -1]
        return last

    def tokenized(self, text: str) -> Sequence[int]:
        """Return the token ids of `text`."""
        return [int(token) for token in self.tokenizer.encode(text)]

    def title(self) -> str:
        """Return the name and version."""
        return f"onnxruntime-genai {self.package.__version__}"

    def _generator(self, length: int) -> Any:
        """Return a generator for texts of `length` tokens."""
        parameters = self.package.GeneratorParams(self.model)
        parameters.set_search_options(max_length=min(length + 1, self.longest), do_sample=False)
        return self.package.Generator(self.model, parameters)
