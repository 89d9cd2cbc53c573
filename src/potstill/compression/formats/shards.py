"""Tensors written to safetensors files as they are made, so that a whole result is never in memory.

File names and index are those of transformers and huggingface_hub: one `model.safetensors`, or numbered files and
`model.safetensors.index.json`, which says which file holds which tensor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

LEAST = 2**26
"""Bytes of a file that are always collected: smaller ones would be many."""


class ShardWriter:
    """Collects tensors, and writes them whenever they fill a file."""

    def __init__(self, folder: Path, limit: int = LEAST) -> None:
        """Start without tensors; weights that lie in `folder`, of a run that was killed, are removed.

        Args:
            folder: to write into; it is made.
            limit: bytes from which on collected tensors are written, and with them freed.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("model*.safetensors*"):
            path.unlink()
        self._folder = folder
        self._limit = limit
        self._waiting: dict[str, Tensor] = {}
        self._written: list[list[str]] = []
        self._total = 0

    def add(self, tensors: Mapping[str, Tensor]) -> None:
        """Take `tensors` by name, and write what waits if that is enough for a file."""
        self._waiting |= {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        if sum(value.nbytes for value in self._waiting.values()) >= self._limit:
            self._write()

    def finish(self) -> None:
        """Write what waits, and name the files by their number."""
        if self._waiting or not self._written:
            self._write()
        count = len(self._written)
        if count == 1:
            self._file(1).rename(self._folder / "model.safetensors")
            return
        weight_map: dict[str, str] = {}
        for number, names in enumerate(self._written, 1):
            final = f"model-{number:05}-of-{count:05}.safetensors"
            self._file(number).rename(self._folder / final)
            weight_map |= dict.fromkeys(names, final)
        index = {"metadata": {"total_size": self._total}, "weight_map": dict(sorted(weight_map.items()))}
        text = json.dumps(index, indent=2) + "\n"
        (self._folder / "model.safetensors.index.json").write_text(text, encoding="utf-8")

    def _write(self) -> None:
        self._total += sum(value.nbytes for value in self._waiting.values())
        self._written.append(list(self._waiting))
        save_file(self._waiting, self._file(len(self._written)), metadata={"format": "pt"})
        self._waiting = {}

    def _file(self, number: int) -> Path:
        """Return where a file lies until it is known how many there are."""
        return self._folder / f"model-{number:05}.safetensors"
