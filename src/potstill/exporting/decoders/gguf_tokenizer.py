"""A byte-level BPE tokenizer as GGUF stores it: tokens, their kinds, merges, and how text is split beforehand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from potstill.models.protocols import Tokenizer

NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""Kinds of tokens, as GGUF numbers them."""
_LETTERS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLITS = {
    _LETTERS + r"\p{N}" + _REST: "qwen2",
    _LETTERS + r"\p{N}{1,3}" + _REST: "llama-bpe",
}
"""Regular expressions that text is split by, and llama.cpp's name for each."""


@dataclass(frozen=True)
class Vocabulary:
    """What GGUF holds of a tokenizer."""

    pre: str
    """llama.cpp's name for how text is split before merging."""
    tokens: list[str]
    """By id; as many as the model has rows."""
    kinds: list[int]
    """Kind of each."""
    merges: list[str]
    """In the order in which they are applied."""
    adds_bos: bool
    """Whether every text starts with the beginning-of-sequence token."""


def vocabulary(tokenizer: Tokenizer, size: int) -> Vocabulary:
    """Return the tokens of `tokenizer` for a model of `size` rows.

    Raises:
        BadInput: it is no byte-level BPE tokenizer, or it splits text in a way that llama.cpp has no name for.
    """
    core = getattr(tokenizer, "backend_tokenizer", None)
    state = json.loads(core.to_str()) if core is not None else {}
    if state.get("model", {}).get("type") != "BPE" or "ByteLevel" not in _types(state.get("decoder")):
        kind = state.get("model", {}).get("type", type(tokenizer).__name__)
        raise BadInput(
            f"the tokenizer is a {kind} one, and GGUF export writes byte-level BPE (Llama 3, Qwen, SmolLM, GPT-2): "
            "convert this model with llama.cpp's convert_hf_to_gguf.py, or export to ONNX or OpenVINO"
        )
    # a model may have more rows than its tokenizer has tokens, and llama.cpp wants a text for each
    tokens = [f"[PAD{number}]" for number in range(size)]
    kinds = [UNUSED] * size
    for text, number in tokenizer.get_vocab().items():
        if number < size:
            tokens[number], kinds[number] = text, NORMAL
    for entry in state["added_tokens"]:
        if entry["id"] < size:
            tokens[entry["id"]] = entry["content"]
            kinds[entry["id"]] = CONTROL if entry["special"] else USER_DEFINED
    # a pair since tokenizers 0.20, one text before
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in state["model"]["merges"]]
    # asked of the tokenizer: whether it adds one is decided in its post-processor, in several ways
    first = tokenizer("a")["input_ids"][:1]
    return Vocabulary(pre_tokenizer(state["pre_tokenizer"]), tokens, kinds, merges, first == [tokenizer.bos_token_id])


def pre_tokenizer(state: Mapping[str, Any] | None) -> str:
    """Return llama.cpp's name of the pre-tokenizer `state` of a tokenizer.json.

    Raises:
        BadInput: it has none that we know.
    """
    parts = (state or {}).get("pretokenizers") or [state or {}]
    splits = [part["pattern"].get("Regex") for part in parts if part.get("type") == "Split"]
    by_regex = any(part.get("type") == "ByteLevel" and part.get("use_regex") for part in parts)
    digits = any(part.get("type") == "Digits" and part.get("individual_digits") for part in parts)
    if splits and not by_regex and splits[0] in SPLITS and len(splits) == 1:
        return SPLITS[splits[0]]
    if not splits and by_regex:
        return "smollm" if digits else "gpt-2"
    raise BadInput(
        f"llama.cpp has no name that we know for how the tokenizer splits text ({json.dumps(state)[:300]}); known are "
        "those of GPT-2, SmolLM, Qwen 2 and 3, and Llama 3: export to ONNX or OpenVINO instead"
    )


def _types(state: Mapping[str, Any] | None) -> set[str]:
    """Return the types of a part of a tokenizer, and of those in it."""
    if not state:
        return set()
    inner = state.get("decoders") or state.get("pretokenizers") or []
    return {state["type"], *(kind for part in inner for kind in _types(part))}
