"""How many tokens a model has embeddings of, and what to say of a tokenizer that gives others."""

from __future__ import annotations

from typing import Any

from potstill.errors import BadInput


def embedded_tokens(model: Any) -> int | None:
    """Return how many tokens `model` knows; the more, where encoder and decoder differ; None if it can't be asked."""
    asked = (getattr(model, name, None) for name in ("get_input_embeddings", "get_output_embeddings"))
    layers = [ask() for ask in asked if ask is not None]
    # of a 4-bit output layer the weight has another shape, the embedding is never one
    sizes = [
        getattr(layer, "num_embeddings", None) or getattr(layer, "out_features", None) for layer in layers if layer
    ]
    return max((size for size in sizes if size), default=None)


def check_tokens(largest: int, size: int | None) -> None:
    """Make sure that the token `largest` is one of the model's `size`: a GPU would only say that an assert failed.

    Raises:
        BadInput: it is beyond.
    """
    if size is not None and largest >= size:
        raise BadInput(
            f"the tokenizer gives token {largest}, but the model's vocabulary ends at {size - 1}: they don't belong "
            "together, or tokens were added to the tokenizer alone; give the model's own, or resize the model's "
            "embeddings (resize_token_embeddings)"
        )
