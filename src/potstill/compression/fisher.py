"""Fisher information of weight rows: how sensitive the loss is to them (FWSVD).

Hsu et al. 2022, "Language model compression with weighted low-rank factorization", section 3: the information of a
weight is the mean over texts of its squared gradient, and that of a row the sum of its weights'.

Shapes: O output features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from potstill.compression.loss import Batch, cross_entropy, predictions

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel


def row_information(
    model: PretrainedModel,
    layers: Mapping[str, nn.Linear],
    batches: Sequence[Batch],
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, Tensor]:
    """Return the Fisher information of the rows [O] of `layers`, one row an output feature, by path.

    Args:
        model: a model of transformers with a head.
        layers: linear layers of the model by their path.
        batches: texts with what is to be predicted; each text is a sample of its own.
        progress: called with the number of texts done.
    """
    model.eval()
    weights = [layer.weight for layer in layers.values()]
    total = [torch.zeros(len(weight), device=weight.device) for weight in weights]
    # one text at a time: the square of a batch's mean gradient is not the mean of the squared gradients
    texts = [text for batch in batches for text in singly(batch)]
    for number, text in enumerate(texts):
        with torch.enable_grad():
            losses, _ = predictions(model, text, cross_entropy)
            slopes = torch.autograd.grad(losses.mean(), weights)
        for rows, slope in zip(total, slopes, strict=True):
            # summed over the row: FWSVD weights a row as a whole, since weighting single weights has no closed-form SVD
            rows += slope.float().square().sum(1)
        progress(number + 1)
    return {path: rows / max(len(texts), 1) for path, rows in zip(layers, total, strict=True)}


def singly(batch: Batch) -> list[Batch]:
    """Return the texts of a batch as batches of one."""
    labels = [None] * len(batch.ids) if batch.labels is None else list(batch.labels[:, None])
    return [Batch(batch.ids[n : n + 1], batch.prompts[n : n + 1], label) for n, label in enumerate(labels)]
