"""ExecuTorch as a runtime that answers for an export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from potstill.errors import PotstillError
from potstill.exporting.decoders.executorch import FILE
from potstill.exporting.logprobs import chosen


class ExecuTorch:
    """A program of ExecuTorch that keeps its cache, and its tokenizer."""

    def __init__(self, folder: Path) -> None:
        """Load the program in `folder`, and the tokenizer as ExecuTorch's runner of language models reads it."""
        from executorch.runtime import Runtime
        from pytorch_tokenizers import CppHFTokenizer

        self.program: Any = Runtime.get().load_program(folder / FILE)
        self.forward = self.program.load_method("forward")
        [self.chunk], [self.room] = self._constants("get_max_seq_len"), self._constants("get_max_context_len")
        self.ends = set(self._constants("get_eos_ids"))
        self.tokenizer: Any = CppHFTokenizer()
        self.tokenizer.load(str(folder / "tokenizer.json"))

    def log_probabilities(self, ids: Sequence[int], at_once: int | None = None) -> Sequence[float]:
        """Return log p of `ids[1:]`, token by token; the second half from a cache that the first filled at once.

        The program returns the logits of the last token of a call only. With `at_once`, where only the result counts,
        all are read from the cache.
        """
        import numpy as np

        if at_once is not None:
            read = [self._read([token], number) for number, token in enumerate(ids[:-1])]
            return chosen(np.stack(read), ids[1:])
        half = max(1, len(ids) // 2)
        logits = [self._read([token], number) for number, token in enumerate(ids[: half - 1])]
        logits.append(self._read(ids[:half], 0))
        logits += [self._read([token], half + number) for number, token in enumerate(ids[half:-1])]
        return chosen(np.stack(logits)[: len(ids) - 1], ids[1:])

    def continued(self, ids: Sequence[int], count: int) -> Sequence[int]:
        """Return the tokens that greedy decoding adds."""
        tokens = [int(self._read(ids, 0).argmax())]
        while len(tokens) < count and tokens[-1] not in self.ends:
            tokens.append(int(self._read(tokens[-1:], len(ids) + len(tokens) - 1).argmax()))
        return tokens

    def tokenized(self, text: str) -> Sequence[int]:
        """Return the token ids of `text`."""
        return [int(token) for token in self.tokenizer.encode(text, 0, 0)]

    def title(self) -> str:
        """Return the name and version."""
        from importlib.metadata import version

        return f"ExecuTorch {version('executorch')}"

    def _constants(self, name: str) -> list[int]:
        """Return the numbers that the program has under `name`."""
        return [int(value) for value in self.program.load_method(name).execute([])]

    def _read(self, ids: Sequence[int], past: int) -> Any:
        """Read tokens after `past` others; returns the logits [V] after the last.

        Raises:
            PotstillError: the cache has no room for them.
        """
        import torch

        if past + len(ids) > self.room:
            raise PotstillError(
                f"a text of {past + len(ids)} tokens or more, and the program's cache has room for {self.room}: probe "
                "with shorter ones (max_length)"
            )
        logits: Any = None
        for start in range(0, len(ids), self.chunk):
            part = torch.tensor([list(ids[start : start + self.chunk])])
            positions = torch.arange(past + start, past + start + part.shape[1])
            logits = self.forward.execute((part, positions))[0]
        # a copy: the next call writes into the same memory
        return logits[0, -1].numpy().copy()
