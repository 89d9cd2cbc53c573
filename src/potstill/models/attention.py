"""How attention is computed where transformers' default leaves out what a model does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from potstill.models.corrected import CAP

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel

UNCAPPED = ("sdpa", "paged|sdpa")
"""Implementations that ignore the bound without a word; others apply it."""


def apply_cap(model: PretrainedModel) -> None:
    """Have `model` bound its attention's logits, as its config says and as vLLM and llama.cpp do.

    transformers computes attention by PyTorch's kernel by default, which knows no bound: the model that is trained
    would be another than the one that is served.
    """
    config = model.config
    parts = [config, config.get_text_config(), *(getattr(config, part, None) for part in ("encoder", "decoder"))]
    if not any(getattr(part, CAP, None) for part in parts):
        return
    if any(getattr(part, "_attn_implementation", None) in UNCAPPED for part in parts):
        model.set_attn_implementation("eager")
