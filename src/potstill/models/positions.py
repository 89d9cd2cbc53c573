"""How many tokens a model reads: its positions, but for those that its kind leaves unused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from potstill.compression.model_types import BEHIND_PADDING

if TYPE_CHECKING:
    from potstill.compression.pretrained import ModelConfig


def positions_of(config: ModelConfig) -> int | None:
    """Return the most tokens that a model reads; None where its configuration sets no limit."""
    text = config.get_text_config()
    positions: int | None = getattr(text, "max_position_embeddings", None)
    if positions is None or text.model_type not in BEHIND_PADDING:
        return positions
    padding = BEHIND_PADDING[text.model_type]
    return positions - (text.pad_token_id or 0 if padding is None else padding) - 1


def alike_positions(config: ModelConfig) -> int | None:
    """Return the longest text whose positions are turned as those of all shorter ones; None where there is no longest.

    With LongRoPE (Ding et al. 2024, arXiv 2402.13753) transformers takes other factors as soon as a text is longer than
    those of the first training; runtimes choose once, by the longest text that they make room for.
    """
    rope = getattr(config.get_text_config(), "rope_parameters", None) or {}
    return int(rope["original_max_position_embeddings"]) if rope.get("rope_type") == "longrope" else None
