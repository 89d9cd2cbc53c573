"""Take the text part of a model that sees images too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.errors import BadInput, PotstillError
from potstill.models.folder import Loaded
from potstill.models.identity import folder_of
from potstill.models.loading import config_of, pretrained, quantized_as
from potstill.steps.compression.base import SAME, CompressionStep, publish

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource

READ = 32
"""Tokens that both models are compared on."""


class TextPart(CompressionStep):
    """Write the text part of a model that sees images too (Gemma 3, Mistral Small 3, Qwen2.5-VL, Qwen3-VL, Llava).

    What comes out is an ordinary causal model, such as a Gemma 3 or a Mistral, that computes the same on texts: its
    logits are compared with those of the whole model. All steps and trainers take it, which refuse the whole one.
    Qwen's vision models turn positions on three axes, which are equal on texts, so theirs becomes a Qwen2 or Qwen3.

    >>> show(TextPart(sees_images))
    {'parameters': 123200, 'zeros': 0.0, 'bits': 32}
    """

    def run(self, model: ModelSource, context: Context) -> Path:
        """Write the folder.

        Raises:
            BadInput: the model sees no images, is quantized, or has no text part that transformers has a class for.
            PotstillError: the text part computes something else on texts.
        """
        from transformers import AutoModelForImageTextToText

        from potstill.compression.text_part import text_config, text_model

        folder = folder_of(model)
        text_config(config_of(folder))
        if method := quantized_as(folder):
            raise BadInput(f"the model {folder} is quantized already ({method}): take the 16-bit model of it")
        whole = pretrained(AutoModelForImageTextToText, folder, "be loaded", {"dtype": "auto"}).eval()
        text = text_model(whole)
        _compare(whole, text)
        before, after = whole.num_parameters(), text.num_parameters()
        context.notes |= {"parameters": {"before": before, "after": after}}
        recipe = {"method": f"text part of a {type(whole).__name__}", "parameters": f"{before} -> {after}"}
        out = publish(Loaded(folder, text, None), context, "text part", recipe, {"parameters": after})
        _carry_template(folder, out)
        return out


def _compare(whole: PretrainedModel, text: PretrainedModel) -> None:
    """Make sure that both compute the same on a text.

    Raises:
        PotstillError: they don't.
    """
    import torch

    tokens = [getattr(whole.config, name, None) for name in ("image_token_id", "video_token_id", "image_token_index")]
    plain = [token for token in range(text.config.vocab_size) if token not in tokens][: 2 * READ : 2]
    ids = torch.tensor([plain])
    with torch.no_grad():
        wanted, logits = whole(input_ids=ids).logits.float(), text(input_ids=ids).logits.float()
    distance = float((wanted - logits).norm() / wanted.norm())
    if not distance <= SAME:
        raise PotstillError(
            f"the text part of this {type(whole).__name__} computes something else than it does on texts: its logits "
            f"are {distance:.1%} apart"
        )


def _carry_template(folder: Path, out: Path) -> None:
    """Write the chat template into `out` where it lies with the processor of images."""
    stored = folder / "chat_template.json"
    if stored.is_file() and not any(out.glob("*.jinja")):
        template = json.loads(stored.read_text(encoding="utf-8"))["chat_template"]
        (out / "chat_template.jinja").write_text(template, encoding="utf-8")
