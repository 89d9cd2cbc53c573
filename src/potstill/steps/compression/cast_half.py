"""Cast a model to 16-bit floating point."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from potstill.errors import BadInput
from potstill.models.folder import Loaded, with_head
from potstill.models.identity import folder_of
from potstill.steps.compression.base import CompressionStep, publish

if TYPE_CHECKING:
    import torch

    from potstill.compression.pretrained import PretrainedModel
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class CastHalf(CompressionStep):
    """Store a model's weights in 16 bits: bfloat16, or float16, which is finer but ends at 65,504.

    Every number is rounded to nearest (IEEE 754). A weight that float16 does not reach is refused with its layer's
    name. Activations may still overflow in float16, which shows only when the model runs.

    >>> show(CastHalf(student, dtype="float16"))
    {'parameters': 1049984, 'zeros': 0.0, 'bits': 16}
    """

    _: KW_ONLY
    dtype: Literal["bfloat16", "float16"] = "bfloat16"
    """Type of the weights; bfloat16 has float32's range, with 8 bits of precision against 11."""

    def run(self, model: ModelSource, context: Context) -> Path:
        """Write the folder.

        Raises:
            BadInput: a weight is infinite, not a number, or too large for the type.
        """
        import torch

        loaded = Loaded(folder_of(model), with_head(folder_of(model)), None)
        dtype = getattr(torch, self.dtype)
        problems = list(overflows(loaded.model, dtype))
        if problems:
            raise BadInput(*problems)
        before = loaded.model.dtype
        loaded.model.to(dtype)
        recipe = {"method": "weights rounded to 16 bits", "weights": self.dtype, "from": str(before).split(".")[-1]}
        return publish(loaded, context, self.dtype, recipe, {"parameters": loaded.model.num_parameters()})


def overflows(model: PretrainedModel, dtype: torch.dtype) -> Iterator[str]:
    """Yield, for each tensor of `model` with a number that `dtype` does not reach, what to do about it."""
    import torch

    largest = torch.finfo(dtype).max
    for name, value in model.state_dict().items():
        if not value.is_floating_point():
            continue
        if not torch.isfinite(value).all():
            yield f"{name} holds infinite or NaN values: the model is broken; take a checkpoint from before"
            continue
        # checked before casting, which would make it infinite silently
        reached = float(value.abs().max())
        if reached > largest:
            yield f'{name} holds {reached:.4g}, and {dtype} ends at {largest:.4g}: use dtype="bfloat16"'
