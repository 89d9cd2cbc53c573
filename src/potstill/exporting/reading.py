"""Who measures what was written for one runtime: that runtime where it is installed, else who can read its files."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill.errors import MissingExtra
from potstill.models.identity import export_in

if TYPE_CHECKING:
    from potstill.exporting.exporter import RuntimeName

FORMATS: Mapping[str, str] = {
    "model.gguf": "gguf",
    "genai_config.json": "onnx",
    "openvino_model.xml": "openvino",
    "model.onnx": "onnx",
    "encoder_model.onnx": "onnx",
    "model.pte": "executorch",
}
"""By the file that a folder is known by: the format, which is called as the extra that brings its packages."""
NEEDED: Mapping[str, tuple[str, ...]] = {
    "gguf": ("gguf",),
    "onnx": ("onnxruntime_genai",),
    "openvino": ("openvino", "openvino_tokenizers"),
    "executorch": ("executorch", "pytorch_tokenizers"),
}
"""By format: the packages that read a language model."""
NEEDED_BY_ENCODERS: Mapping[str, tuple[str, ...]] = {"onnx": ("onnxruntime",), "openvino": ("openvino",)}
"""By format: the packages that read a classifier, or an encoder-decoder."""


@dataclass(frozen=True)
class Reader:
    """Who reads a language model's export here."""

    name: RuntimeName
    """Its name."""
    is_serving: bool
    """Whether it is what serves the export, so that its speed and memory say something of serving."""


def format_in(folder: Path) -> str:
    """Return the format that `folder` was exported in; nothing for a Hugging Face folder."""
    return FORMATS.get(export_in(folder), "")


def is_encoder(folder: Path) -> bool:
    """Return whether what was exported in `folder` is a classifier or sentence encoder, and no language model."""
    by = export_in(folder)
    # language models are exported to ONNX with genai_config.json, and to OpenVINO with their tokenizer as a model
    return by == "model.onnx" or (by == "openvino_model.xml" and not (folder / "openvino_tokenizer.xml").is_file())


def is_encoder_decoder(folder: Path) -> bool:
    """Return whether what was exported in `folder` is an encoder-decoder."""
    return export_in(folder) == "encoder_model.onnx"


def reader_of(fmt: str) -> Reader:
    """Return who reads language models in a format; a GGUF without llama.cpp is read by transformers, dequantized."""
    if fmt == "gguf":
        by_llama = importlib.util.find_spec("llama_cpp") is not None
        return Reader("llama.cpp", True) if by_llama else Reader("gguf-transformers", False)
    if fmt == "onnx":
        return Reader("onnxruntime-genai", True)
    return Reader("openvino", True) if fmt == "openvino" else Reader("executorch", True)


def missing_package(fmt: str, feature: str, *, encoder: bool = False) -> MissingExtra | None:
    """Return the error of what `feature` needs to read an export and is not installed; imports nothing."""
    if fmt == "gguf" and importlib.util.find_spec("llama_cpp") is not None:
        return None
    for package in (NEEDED_BY_ENCODERS if encoder else NEEDED).get(fmt, ()):
        if importlib.util.find_spec(package) is None:
            return MissingExtra(f"{feature} of an export as {fmt}", package.replace("_", "-"), fmt)
    return None


def session(folder: Path, threads: int) -> Any:
    """Return a function from the columns of a batch by name, as numpy arrays, to the logits [texts, classes].

    The runtime is set up as `SERVE.md` does, but for the number of threads.
    """
    if format_in(folder) == "openvino":
        from potstill.exporting.decoders.openvino import without_telemetry

        without_telemetry()
        import openvino

        # OpenVINO would take bfloat16 where the processor has it, with other answers than those that were checked
        options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": str(max(1, threads))}
        model = openvino.Core().compile_model(str(folder / "openvino_model.xml"), "CPU", options)
        names = {name for port in model.inputs for name in port.get_names()}
        return lambda columns: model({name: columns[name] for name in names})[0]
    import onnxruntime

    from potstill.exporting.encoders.onnx import EXACT

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = max(1, threads)
    options.add_session_config_entry(*EXACT)
    served = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
    wanted = [port.name for port in served.get_inputs()]
    return lambda columns: served.run(None, {name: columns[name] for name in wanted})[0]


def runtime_title(folder: Path) -> str:
    """Return the name and version of what runs the encoder in `folder`."""
    from importlib.metadata import version

    package = "openvino" if format_in(folder) == "openvino" else "onnxruntime"
    return f"{package} {version(package)}"
