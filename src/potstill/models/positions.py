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
