"""GOBO: weights as centroids and outliers; measures the storage, which no runtime reads."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from annotated_types import Interval

from potstill.models import folder
from potstill.steps.compression.base import CalibratedStep, publish
from potstill.steps.quantization.base import reference

if TYPE_CHECKING:
    from datasets import Dataset

    from potstill.compression.pretrained import PretrainedModel
    from potstill.compression.quantization.gobo import Gobo
    from potstill.engine.context import Context
    from potstill.models.protocols import ModelSource


class GOBO(CalibratedStep):
    """Keep the outliers of every layer's Gaussian, and store all other weights in 2^bits centroids.

    Zadeh et al. 2020 (arXiv 2005.03842). No runtime reads the dictionaries, so that the folder holds the dequantized
    weights in the model's own type: it loads everywhere, and is no smaller and no faster. What the dictionaries would
    take, and the share of outliers, are in notes and card. For encoders and decoders, GPT-2 too.

    >>> show(GOBO(student, bits=3))
    {'parameters': 1049984, 'zeros': 0.0, 'bits': 16}
    """

    _: KW_ONLY
    bits: Annotated[int, Interval(ge=1, le=8)] = 3
    """Bits of a weight's centroid number: 2^bits centroids a layer; the paper's 3."""
    embedding_bits: Annotated[int, Interval(ge=1, le=8)] | None = 4
    """The same of the embeddings; the paper's 4. `None` leaves them as they are."""
    log_probability: float = -4.0
    """Weights with a log-density below this under their layer's Gaussian are outliers; the paper's -4."""

    def run(self, model: ModelSource, context: Context, calibration: Dataset | None = None) -> Path:
        """Quantize `model` and write the folder of its dequantized weights.

        Raises:
            BadInput: the model can't be compressed, or the rows can't be used.
        """
        from potstill.compression.quantization import gobo

        loaded = folder.load(model)
        before = reference(self, loaded, calibration) if calibration is not None else None
        coded = Coded()
        for path, bits in self._bits(loaded.model).items():
            weight = loaded.model.get_submodule(path).get_parameter("weight").data
            layer = gobo.quantize(weight, bits, self.log_probability)
            weight.copy_(layer.dequantize(weight.dtype))
            # the sizes only: all dictionaries would take as much as the model
            coded.add(layer)
        figures = before.measure(context) if before else {}
        context.notes["stored"] = size = stored_size(loaded.model, coded)
        recipe = {
            "method": "GOBO (Zadeh et al. 2020)",
            "bits": self.bits,
            "embedding bits": self.embedding_bits or "as they were",
            "log probability": self.log_probability,
            "storage": "dequantized: no smaller on disk and no faster",
        }
        details = {**{f"calibration {name}": value for name, value in figures.items()}, **size}
        return publish(loaded, context, f"GOBO {self.bits}-bit", recipe, details)

    def _bits(self, model: PretrainedModel) -> dict[str, int]:
        """Return the layers to store in a dictionary, and with how many bits each."""
        from torch import nn

        from potstill.compression.layerwise import block_layers

        bits_of = dict.fromkeys(block_layers(model), self.bits)
        if self.embedding_bits:
            # Marian's positions are computed and never saved
            unsaved = getattr(model, "_keys_to_ignore_on_save", None) or ()
            tables = [path for path, module in model.named_modules() if isinstance(module, nn.Embedding)]
            bits_of |= {path: self.embedding_bits for path in tables if f"{path}.weight" not in unsaved}
        return bits_of


@dataclass
class Coded:
    """What the dictionaries of a model's layers take."""

    weights: int = 0
    """That are in a dictionary or outliers."""
    bits: int = 0
    """Of the dictionaries and outliers."""
    outliers: int = 0
    """Weights that are stored as they are."""

    def add(self, layer: Gobo) -> None:
        """Count a layer."""
        self.weights += layer.codes.numel()
        self.bits += layer.stored_bits()
        self.outliers += len(layer.values)


def stored_size(model: PretrainedModel, coded: Coded) -> dict[str, float]:
    """Return what the model would take with dictionaries in place of the `coded` weights, and without."""
    parameters = sum(value.numel() for value in model.parameters())
    width = next(model.parameters()).element_size()
    rest = (parameters - coded.weights) * width
    return {
        "stored bytes": rest + -(-coded.bits // 8),
        "bytes before": parameters * width,
        "stored bits a coded weight": coded.bits / max(coded.weights, 1),
        "share of outliers": coded.outliers / max(coded.weights, 1),
    }
