"""What an exported encoder is asked, what the model in memory answers, and whether both say the same.

Shapes: N texts, C classes or sizes of a vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput
from potstill.exporting.probe import WORDS
from potstill.exporting.verdict import NotDeployableError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from potstill.exporting.encoders.model import EncoderModel, Kind

TEXTS = 24
"""Texts that are drawn where none are given."""
LENGTHS = (3, 24)
"""Fewest and most tokens that each is drawn from."""
BEYOND = 8
"""Tokens that the longest text has more than the model reads."""
NO_SPREAD = 1e-6
"""Largest mean distance of answers that counts as none."""


@dataclass(frozen=True)
class TextAnswers:
    """What is said to texts."""

    said: NDArray[np.float64]
    """Per text the probabilities of the classes or the vector, [N, C]."""
    tokens: tuple[tuple[int, ...], ...]
    """Per text its token ids, cut at the model's limit."""
    runtime: str
    """Who answered, with the version."""


def probe_texts(model: EncoderModel, texts: Sequence[str], seed: int) -> list[str]:
    """Return what is asked: `texts`, or some drawn from the vocabulary; one that is too long; and tokenizer traps.

    Texts from its own vocabulary are in whatever language the model reads.
    """
    import numpy as np

    tokenizer, draw = model.tokenizer, np.random.default_rng(seed)
    special = set(tokenizer.all_special_ids)
    plain = [number for number in range(len(tokenizer)) if number not in special]

    def drawn(count: int) -> str:
        return str(tokenizer.decode(draw.choice(plain, count).tolist()))

    own = [drawn(int(draw.integers(*LENGTHS, endpoint=True))) for _ in range(TEXTS)]
    return [*(texts or own), drawn(model.limit + BEYOND), *WORDS]


def in_memory(model: EncoderModel, texts: Sequence[str]) -> TextAnswers:
    """Return what the model answers, text by text, so that nothing is padded."""
    import numpy as np
    import transformers

    outputs = np.stack([model.answer(text) for text in texts]).astype(np.float64)
    ids = [model.tokenizer(text, truncation=True, max_length=model.limit)["input_ids"] for text in texts]
    return TextAnswers(outputs, tuple(tuple(row) for row in ids), f"transformers {transformers.__version__}")


def judge(kind: Kind, before: TextAnswers, fresh: TextAnswers, tolerance: float) -> Mapping[str, float]:
    """Return what was measured, for the card and the manifest.

    The distance of two answers is the share of probability that moves (total variation), or that of the vectors at
    length 1. That of a text's two answers must be small beside that of answers to different texts, so that an export
    which says the same to all texts is found out, however unsure the model is.

    Args:
        kind: what is answered.
        before: of the model in memory, before anything was quantized.
        fresh: of what was written, loaded in a process of its own.
        tolerance: largest mean distance, as a share of that between different texts; and largest share of texts that
            get another class although the model's own led by more than so much.

    Raises:
        NotDeployableError: something differed by more than that.
        BadInput: the model says the same to all texts.
    """
    import numpy as np

    if not np.isfinite(fresh.said).all():
        raise NotDeployableError(
            f"the export is not deployable: {fresh.runtime} gives {np.argwhere(~np.isfinite(fresh.said)).shape[0]} "
            "numbers that are not finite: its weights or kernels are broken"
        )
    apart = distances(kind, before.said, before.said)
    spread = float(apart[~np.eye(len(apart), dtype=bool)].mean())
    if spread < NO_SPREAD:
        raise BadInput(
            "the model says the same to all probe texts, so that nothing can be compared: give texts of its "
            "task as probe="
        )
    moved = np.diagonal(distances(kind, before.said, fresh.said))
    figures = {"change": float(moved.mean()), "change, as a share": float(moved.mean()) / spread}
    problems = _other_tokens(before, fresh)
    if figures["change, as a share"] > tolerance:
        problems.append(
            f"the answers of {fresh.runtime} move by {figures['change, as a share']:.2%} of what lies between texts, "
            f"which is more than {tolerance:.2%}: give texts of its task as probe=, which move less than drawn ones, "
            "take a higher precision, or allow it with tolerance="
        )
    if kind == "classes":
        problems += _other_classes(before.said, fresh, tolerance)
        figures["equal classes"] = float((before.said.argmax(1) == fresh.said.argmax(1)).mean())
    else:
        figures["mean cosine"] = 1 - float((moved**2).mean()) / 2
    if problems:
        raise NotDeployableError("the export is not deployable: " + "; ".join(problems))
    return {**figures, "probe texts": len(before.said)}


def distances(kind: Kind, one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    """Return the distance of each answer of `one` [N, C] to each of `other` [M, C], as [N, M]."""
    import numpy as np

    if kind == "classes":
        halves: NDArray[Any] = np.abs(one[:, None] - other[None]).sum(-1) / 2
        return halves
    shortest = np.finfo(np.float64).tiny
    one, other = (each / np.linalg.norm(each, axis=1, keepdims=True).clip(shortest) for each in (one, other))
    chords: NDArray[Any] = np.sqrt(np.maximum(2 - 2 * one @ other.T, 0))
    return chords


def _other_classes(mine: NDArray[Any], fresh: TextAnswers, tolerance: float) -> list[str]:
    """Return a problem where too many classes differ whose probability [N, C] led by more than `tolerance`."""
    import numpy as np

    rows, predicted = np.arange(len(mine)), fresh.said.argmax(1)
    leads = mine.max(1) - mine[rows, predicted]
    wrong = int((leads > tolerance).sum())
    if wrong <= tolerance * len(mine):
        return []
    return [
        f"{fresh.runtime} names another class for {wrong} of {len(mine)} probe texts, whose class leads by up to "
        f"{leads.max():.2g}: take a higher precision, or allow it with tolerance="
    ]


def _other_tokens(before: TextAnswers, fresh: TextAnswers) -> list[str]:
    """Return a problem for each text that the exported tokenizer reads otherwise."""
    return [
        f"the exported tokenizer reads probe text {number} as {list(exported)[:12]}... and the model's as "
        f"{list(mine)[:12]}...: answers would be garbage"
        for number, (mine, exported) in enumerate(zip(before.tokens, fresh.tokens, strict=True))
        if mine != exported
    ][:3]
