"""How many tokens a model reads: its positions, but for those that its kind leaves unused."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from potstill.compression.pretrained import ModelConfig

BEHIND_PADDING = frozenset(
    (
        "camembert",
        "data2vec-text",
        "esm",
        "ibert",
        "layoutlmv3",
        "lilt",
        "longformer",
        "luke",
        "markuplm",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
        "xmod",
    )
)
"""Types that count positions from behind the padding token's number on (fairseq's habit): RoBERTa reads 512 of 514."""


def positions_of(config: ModelConfig) -> int | None:
    """Return the most tokens that a model reads; None where its configuration sets no limit."""
    text = config.get_text_config()
    positions: int | None = getattr(text, "max_position_embeddings", None)
    if positions is None or text.model_type not in BEHIND_PADDING:
        return positions
    # MPNet's code takes 1, whatever its configuration says
    padding = 1 if text.model_type == "mpnet" else text.pad_token_id or 0
    return positions - padding - 1
