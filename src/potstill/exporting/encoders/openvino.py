"""An encoder in OpenVINO's own format, its weights compressed by NNCF, embeddings too."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput
from potstill.exporting.decoders.openvino import FILE, compressed, without_telemetry
from potstill.exporting.encoders.exporter import CHANGE, GROUP, Precision
from potstill.exporting.encoders.script import script, serving
from potstill.exporting.exporter import Serving, need_packages
from potstill.exporting.silence import quiet

if TYPE_CHECKING:
    from potstill.exporting.encoders.model import EncoderModel

NOTES = {
    "f32": "f32",
    "int8": "int8 per channel",
    "int4": f"int4 in groups of {GROUP}, embeddings and head int8",
}
"""What the card says of the weights."""


@dataclass(frozen=True)
class EncoderOpenVINO:
    """Writes `openvino_model.xml`, and its weights beside it."""

    precision: Precision = "int8"
    """How the weights are stored."""

    def check(self, model: EncoderModel) -> None:
        """Make sure that `model` can be written.

        Raises:
            BadInput: it can't.
        """
        from torch import nn

        need_packages("openvino", ("openvino", "nncf"), "ExportEncoder")
        if self.precision != "int4":
            return
        widths = {layer.in_features for layer in model.network.modules() if isinstance(layer, nn.Linear)}
        odd = sorted(width for width in widths if width % GROUP)
        if odd:
            raise BadInput(
                f"rows of {', '.join(map(str, odd))} features don't fit groups of {GROUP}: take "
                'precision="int8", or format="onnx", which fills the last group up'
            )

    def write(self, model: EncoderModel, folder: Path) -> Mapping[str, object]:
        """Write the model."""
        without_telemetry()
        import openvino

        with quiet("nncf"):
            stored = compressed(converted(model), self.precision, GROUP)
            openvino.save_model(stored, str(folder / FILE), compress_to_fp16=self.precision != "f32")
        return {"weights": NOTES[self.precision]}

    def package(self) -> str:
        """Return the package that serves it."""
        return "openvino"

    def change(self) -> float:
        """Return the largest change of the answers that is normal."""
        return CHANGE[self.precision]

    def serving(self, model: EncoderModel) -> Serving:
        """Return how it is served."""
        from importlib.metadata import version

        plain = version("openvino").split("-")[0]
        # the default may be bfloat16, by the processor, which would answer otherwise than what was checked
        load = f'model = openvino.Core().compile_model("{FILE}", "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})'
        return serving(
            model,
            f"pip install numpy openvino~={plain} tokenizers=={version('tokenizers')}",
            "OpenVINO",
            script(model, "import openvino", load, "model(given)[0]"),
        )


def converted(model: EncoderModel) -> Any:
    """Return the `openvino.Model` of `model`, free in the number and the length of texts."""
    import openvino
    import torch

    example = model.example()
    with warnings.catch_warnings(), torch.no_grad():
        # branches that were taken for good: on what does not change with the texts
        warnings.simplefilter("ignore")
        trace: Any = torch.jit.trace
        result = openvino.convert_model(trace(model.network, example, check_trace=False), example_input=example)
    for port, name in zip(result.inputs, model.inputs, strict=True):
        port.get_tensor().set_names({name})
        port.get_node().set_partial_shape(openvino.PartialShape([-1, -1]))
        port.get_node().set_element_type(openvino.Type.i64)
    result.outputs[0].get_tensor().set_names({model.output})
    result.validate_nodes_and_infer_types()
    return result
