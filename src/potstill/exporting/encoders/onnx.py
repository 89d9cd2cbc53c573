"""An encoder as one ONNX file for ONNX Runtime.

At 8 bits linear layers are rounded to nearest with a scale for each output feature, and their inputs while serving with
one for all; or both in groups along the input features, as always at 4 bits (MatMulNBits, a contrib operator of ONNX
Runtime at accuracy level 4). Tables of embeddings are int8, a scale a row, or int4 in groups.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import BadInput
from potstill.exporting.encoders.exporter import CHANGE, GROUP, Activations, Embeddings, Precision
from potstill.exporting.encoders.script import script, serving
from potstill.exporting.exporter import Serving, need_packages
from potstill.exporting.silence import quiet

if TYPE_CHECKING:
    from onnx import ModelProto

    from potstill.exporting.encoders.model import EncoderModel

FILE = "model.onnx"
"""Name of the model."""
OPSET = 17
"""Version of the operators: the first with layer normalization."""
LARGEST = 2_000_000_000
"""Most bytes of float32 weights, because one ONNX file holds 2 GB."""
BITS = {"int8": 8, "int4": 4}
ACCURACY_LEVEL = 4
"""MatMulNBits' level with int8 activations, which is fastest on processors."""
EXACT = ("session.x64quantprecision", "1")
"""ONNX Runtime's setting that keeps sums of int8 products from saturating on x86 processors without VNNI instructions,
where it takes slower products; on others it changes nothing."""
EXACT_SESSION = f"""
options = onnxruntime.SessionOptions()
options.add_session_config_entry("{EXACT[0]}", "{EXACT[1]}")  # exact on processors without VNNI, too
session = onnxruntime.InferenceSession("{FILE}", options)"""
"""How the script opens a model whose products are of bytes."""
SATURATES = f"""Keep `{EXACT[0]}` wherever you open the model: without it, sums of int8 products saturate on x86 \
processors without VNNI instructions, and answers are wrong."""


@dataclass(frozen=True)
class EncoderONNX:
    """Writes `model.onnx`."""

    precision: Precision = "int8"
    """How the weights are stored."""
    activations: Activations = "tensor"
    """Which inputs of a layer share a scale at 8 bits."""
    embeddings: Embeddings = "int8"
    """How embeddings are stored at 4 bits."""

    def check(self, model: EncoderModel) -> None:
        """Make sure that `model` can be written.

        Raises:
            BadInput: it can't.
        """
        need_packages("onnx", ("onnxruntime", "onnx", "onnx_ir"), "ExportEncoder")
        size = sum(weight.numel() * 4 for weight in model.network.parameters())
        if size > LARGEST:
            raise BadInput(
                f"the model {model.folder} has {size / 1e9:.1f} GB of weights in float32, and one ONNX file "
                'holds 2 GB: take format="openvino"'
            )

    def write(self, model: EncoderModel, folder: Path) -> Mapping[str, object]:
        """Write the model."""
        import onnx

        with quiet("onnxruntime", "onnx_ir"):
            graph = traced(model)
            if self.precision != "f32":
                graph = compressed(graph, self.precision, self.activations, self.embeddings)
            onnx.save_model(graph, str(folder / FILE))
        if self.precision == "f32":
            return {"weights": "f32"}
        shared = "a scale for each output" if self._is_by_tensor() else f"in groups of {GROUP}"
        return {
            "weights": f"{self.precision} {shared}, head f32",
            "embeddings": "int8, a scale a row" if self.embeddings == "int8" else f"int4 in groups of {GROUP}",
            "activations": f"int8 while serving, a scale a {'batch' if self._is_by_tensor() else 'group'}",
        }

    def package(self) -> str:
        """Return the package that serves it."""
        return "onnxruntime"

    def change(self) -> float:
        """Return the largest change of the answers that is normal."""
        return (2 if self._is_by_tensor() else 1) * CHANGE[self.precision]

    def serving(self, model: EncoderModel) -> Serving:
        """Return how it is served."""
        from importlib.metadata import version

        load = EXACT_SESSION if self._is_by_tensor() else f'session = onnxruntime.InferenceSession("{FILE}")'
        call = f"session.run([{model.output!r}], given)[0]"
        return serving(
            model,
            f"pip install numpy onnxruntime=={version('onnxruntime')} tokenizers=={version('tokenizers')}",
            "ONNX Runtime",
            script(model, "import onnxruntime", load, call),
            SATURATES if self._is_by_tensor() else "",
        )

    def _is_by_tensor(self) -> bool:
        """Return whether all inputs of a layer share a scale."""
        return (self.precision, self.activations) == ("int8", "tensor")


def traced(model: EncoderModel) -> ModelProto:
    """Return the graph of `model` in float32, free in the number and the length of texts."""
    import onnx
    import torch

    free: dict[str, dict[int, str]] = {name: {0: "texts", 1: "tokens"} for name in model.inputs}
    free[model.output] = {0: "texts"}
    file: Any = io.BytesIO()  # taken as well as a path
    with warnings.catch_warnings(), torch.no_grad():
        # branches that were taken for good: on what does not change with the texts
        warnings.simplefilter("ignore")
        # the exporter that traces: the one that does not needs a package more
        torch.onnx.export(
            model.network,
            model.example(),
            file,
            input_names=list(model.inputs),
            output_names=[model.output],
            dynamic_axes=free,
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_from_string(file.getvalue())


def compressed(
    graph: ModelProto, precision: Precision, activations: Activations, embeddings: Embeddings = "int8"
) -> Any:
    """Return the model with its linear layers at 8 or 4 bits, and its embeddings."""
    from onnx import helper
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    from potstill.exporting.decoders.onnx_graph import (
        CONTRIB,
        linear_as_matmul,
        products_in_bytes,
        tables_in_bytes,
        tables_in_nibbles,
    )

    linear_as_matmul(graph.graph)
    if embeddings == "int4" and tables_in_nibbles(graph.graph, GROUP):
        graph.opset_import.append(helper.make_opsetid(CONTRIB, 1))
    tables_in_bytes(graph.graph)  # those that are still floats
    if (precision, activations) == ("int8", "tensor"):
        products_in_bytes(graph.graph)
        return graph
    quantizer = MatMulNBitsQuantizer(
        graph,
        bits=BITS[precision],
        block_size=GROUP,
        is_symmetric=True,
        accuracy_level=ACCURACY_LEVEL,
        op_types_to_quantize=("MatMul",),
    )
    quantizer.process()
    return quantizer.model.model
