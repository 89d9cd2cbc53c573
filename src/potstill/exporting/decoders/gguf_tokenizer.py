"""A BPE tokenizer as GGUF stores it: byte-level (Llama 3, Qwen), or SentencePiece's (Llama 2, Mistral, Gemma, Phi-3).

Of a byte-level one: tokens, their kinds, merges, and how text is split beforehand. Of the other a score for each token:
llama.cpp merges the pair whose token has the highest, so that scores that fall with the place of a merge say the same.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from potstill.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from potstill.models.protocols import Tokenizer

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""Kinds of tokens, as GGUF numbers them."""
SPACE = "\u2581"
"""What SentencePiece writes for a space."""
_BYTE = re.compile(r"<0x[0-9A-F]{2}>")
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

    model: Literal["gpt2", "llama"]
    """llama.cpp's name of the kind: byte-level, or SentencePiece's."""
    pre: str
    """llama.cpp's name for how text is split before merging."""
    tokens: list[str]
    """By id; as many as the model has rows."""
    kinds: list[int]
    """Kind of each."""
    merges: list[str]
    """In the order in which they are applied; none beside scores."""
    scores: list[float]
    """Of each token, highest first; none beside merges."""
    adds_bos: bool
    """Whether every text starts with the beginning-of-sequence token."""
    adds_space: bool = False
    """Whether a space is put before a text."""


def vocabulary(tokenizer: Tokenizer, size: int) -> Vocabulary:
    """Return the tokens of `tokenizer` for a model of `size` rows.

    Raises:
        BadInput: it is no byte-level BPE tokenizer, or it splits text in a way that llama.cpp has no name for.
    """
    core = getattr(tokenizer, "backend_tokenizer", None)
    state = json.loads(core.to_str()) if core is not None else {}
    model = state.get("model", {})
    by_bytes = "ByteLevel" in _types(state.get("decoder"))
    if model.get("type") != "BPE" or not (by_bytes or _is_sentencepiece(state)):
        kind = model.get("type", type(tokenizer).__name__)
        raise BadInput(
            f"the tokenizer is a {kind} one, and GGUF export writes byte-level BPE (Llama 3, Qwen, SmolLM, GPT-2) and "
            "SentencePiece's BPE (Llama 2, Mistral, Gemma): convert this model with llama.cpp's "
            "convert_hf_to_gguf.py, or export to ONNX or OpenVINO"
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
    merges = [merge.split(" ") if isinstance(merge, str) else list(merge) for merge in model["merges"]]
    # asked of the tokenizer: whether it adds one is decided in its post-processor, in several ways
    adds_bos = tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]
    if by_bytes:
        pre, texts = pre_tokenizer(state["pre_tokenizer"]), [" ".join(merge) for merge in merges]
        return Vocabulary("gpt2", pre, tokens, kinds, texts, [], adds_bos)
    kinds = [
        BYTE if kind == NORMAL and _BYTE.fullmatch(text) else kind for text, kind in zip(tokens, kinds, strict=True)
    ]
    unknown = model["vocab"].get(model.get("unk_token"))
    if unknown is not None:
        kinds[unknown] = UNKNOWN
    return Vocabulary("llama", "default", tokens, kinds, [], scores(tokens, merges), adds_bos, _adds_space(state))


def scores(tokens: Sequence[str], merges: Sequence[Sequence[str]]) -> list[float]:
    """Return a score for each token by the first of the `merges` that makes it; 0 for those that none makes.

    >>> scores(["a", "b", "ab", "abb"], [["a", "b"], ["ab", "b"]])
    [0.0, 0.0, -1.0, -2.0]
    """
    place: dict[str, int] = {}
    for number, pair in enumerate(merges):
        place.setdefault("".join(pair), number + 1)
    return [-float(place.get(text, 0)) for text in tokens]


def _is_sentencepiece(state: Mapping[str, Any]) -> bool:
    """Return whether a BPE tokenizer writes spaces as SentencePiece does, and unknown characters as bytes."""
    writes = f"{json.dumps(state.get('normalizer'))}{json.dumps(state.get('pre_tokenizer'))}"
    return bool(state["model"].get("byte_fallback")) and json.dumps(SPACE)[1:-1] in writes


def _adds_space(state: Mapping[str, Any]) -> bool:
    """Return whether a space is put before a text: by the normalizer (`Prepend`) or pre-tokenizer (`Metaspace`)."""
    if "Prepend" in _types(state.get("normalizer")):
        return True
    parts = (state.get("pre_tokenizer") or {}).get("pretokenizers") or [state.get("pre_tokenizer") or {}]
    return any(part.get("type") == "Metaspace" and part.get("prepend_scheme", "always") != "never" for part in parts)


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
    inner = state.get("decoders") or state.get("pretokenizers") or state.get("normalizers") or []
    return {state["type"], *(kind for part in inner for kind in _types(part))}
