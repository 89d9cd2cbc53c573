"""An exported encoder-decoder that writes through the runtime that it was exported for, for `EvaluateTranslation`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.exporting.decoders.onnx_pairs_runtime import OnnxPairs
from potstill.models import encoder_decoder
from potstill.models.loading import config_of
from potstill.models.positions import positions_of
from potstill.teachers.search import Hypothesis, Search

if TYPE_CHECKING:
    from potstill.models.chat import Messages


class ExportedDecoder:
    """Writes greedily, a text at a time."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Load what was exported in `folder`."""
        from transformers import AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model = OnnxPairs(folder, max(1, threads))
        self.runtime = self.model.title()
        self.dtype = "as exported"
        self.positions = positions_of(config_of(folder))

    def ids(self, messages: Messages) -> list[int]:
        """Return the tokens of a prompt."""
        return encoder_decoder.source_ids(self.tokenizer, messages)

    def refusal(self, ids: Sequence[int], max_tokens: int) -> str:
        """Return why a prompt of these tokens can't be answered by up to `max_tokens`, or nothing."""
        if self.positions is None or max(len(ids), max_tokens + 1) <= self.positions:
            return ""
        return f"{len(ids)} tokens of the prompt and {max_tokens} of the output: the model has {self.positions} places"

    def write(self, prompts: Sequence[Sequence[int]], search: Search, seeds: Sequence[int]) -> list[list[Hypothesis]]:
        """Return the greedy output to each prompt; its log-probability is not a number, as none is kept."""
        return [[self._hypothesis(self.model.continued(ids, search.max_tokens))] for ids in prompts]

    def _hypothesis(self, tokens: Sequence[int]) -> Hypothesis:
        ended = bool(tokens) and tokens[-1] in self.model.rules.ends
        text = str(self.tokenizer.decode(tokens, skip_special_tokens=True))
        return Hypothesis(text, "stop" if ended else "length", float("nan"), len(tokens))
