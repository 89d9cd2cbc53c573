"""How much memory a model's attention cache takes, so that a small one on a CPU doesn't take gigabytes."""

from __future__ import annotations

LIMIT_GIB = 4.0
"""Most that is taken without being asked; with less than all sequences need, some of them wait."""
BLOCK = 128
"""Tokens that the cache hands out at a time on a CPU."""


def cpu_cache(model: str, commit: str | None, sequences: int, length: int | None, *, remote: bool = False) -> int:
    """Return the bytes that `sequences` of `length` tokens take (None: as long as the model allows), within the limit.

    `remote` lets code from the model's repository run.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model, revision=commit, trust_remote_code=remote).get_text_config()
    limit = int(LIMIT_GIB * 2**30)
    longest: int | None = length or getattr(config, "max_position_embeddings", None)
    if longest is None:
        return limit
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    # one block more for each sequence, and one that the engine keeps for itself
    blocks = 1 + sequences * (1 + -(-longest // BLOCK))
    # keys and values of four bytes at most
    return min(limit, blocks * BLOCK * int(config.num_hidden_layers * heads * size) * 2 * 4)
