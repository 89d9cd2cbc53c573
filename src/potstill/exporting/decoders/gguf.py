"""GGUF, the file that llama.cpp and Ollama read: weights, sizes, tokenizer and chat template in one.

Names and layout are those of the specification of the format (ggml, docs/gguf.md) and of llama.cpp's own converter;
the package `gguf` has the quantizers in numpy. Types with K in their name are made by llama.cpp itself.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from potstill.errors import BadInput, PotstillError
from potstill.exporting.decoders import gguf_tokenizer, ollama
from potstill.exporting.exporter import Serving, Source, Written, need_packages
from potstill.exporting.silence import quiet

if TYPE_CHECKING:
    from potstill.compression.pretrained import PretrainedModel
    from potstill.exporting.exporter import RuntimeName

Type = Literal["f32", "f16", "bf16", "q8_0", "q4_0", "tq1_0", "tq2_0", "q4_k_m", "q5_k_m", "q6_k"]
"""How the weights are stored."""
FILE = "model.gguf"
"""Name of the file."""
RISE: Mapping[str, float] = {"f32": 0.005, "f16": 0.005, "bf16": 0.005, "q8_0": 0.02, "q6_k": 0.05, "q5_k_m": 0.1}
"""Normal rise of perplexity; that of the others is `SMALL`."""
SMALL = 0.25
"""Normal rise of perplexity at 4 bits and below, which is large in small models."""
QUANTIZE = "llama-quantize"
"""llama.cpp's tool for the types that the package lacks."""


@dataclass(frozen=True)
class GGUF:
    """Writes a GGUF file."""

    precision: Type = "q8_0"
    """How the weights are stored."""

    def check(self, source: Source) -> None:
        """Make sure that `source` can be written.

        Raises:
            BadInput: it can't.
        """
        from potstill.exporting.decoders import gguf_layout

        problems: list[Any] = []
        need_packages("gguf", ("gguf",))
        problems += gguf_layout.problems(source.model.config)
        if "_k" in self.precision and shutil.which(QUANTIZE) is None and not has_library():
            problems.append(
                f"precision {self.precision!r} is made by {QUANTIZE} of llama.cpp, which is not on PATH: install "
                "llama.cpp (or the package llama-cpp-python), or take q8_0 or q4_0"
            )
        if self.precision.startswith("tq") and not problems and all(width % 256 for width in _widths(source.model)):
            problems.append(
                f"precision {self.precision!r} stores rows in blocks of 256 weights, and no layer's rows (of "
                f"{', '.join(map(str, sorted(set(_widths(source.model)))))}) can be divided by that"
            )
        if problems:
            raise BadInput(*problems)

    def write(self, source: Source, folder: Path) -> Written:
        """Write `model.gguf`, the config that transformers reads it with, and a Modelfile for Ollama."""
        source.model.config.save_pretrained(folder)
        with_k = "_k" in self.precision
        path = folder / ("f16.gguf" if with_k else FILE)
        with quiet("gguf"):
            types = write_file(source, path, "f16" if with_k else self.precision)
        if with_k:
            quantize_further(path, folder / FILE, self.precision)
            types = {self.precision: sum(types.values())}
        modelfile = ollama.modelfile(source.tokenizer, FILE, source.model.generation_config)
        (folder / "Modelfile").write_text(modelfile.text, encoding="utf-8")
        notes = (("stored as", ", ".join(f"{count} tensors {kind}" for kind, count in sorted(types.items()))),)
        return Written(not with_k, (*notes, ("Ollama template", modelfile.kind)))

    def readers(self) -> tuple[RuntimeName, ...]:
        """Return who can read the file here."""
        return ("llama.cpp", "gguf-transformers") if has_library() else ("gguf-transformers",)

    def serving_runtime(self) -> RuntimeName:
        """Return who serves the file."""
        return "llama.cpp"

    def serving(self, source: Source) -> Serving:
        """Return how the file is served."""
        return Serving(
            "llama-server --version    # llama.cpp, from https://github.com/ggml-org/llama.cpp/releases",
            "llama.cpp serves the OpenAI API at port 8080, with the chat template that is in the file.",
            f"llama-server --model {FILE} --jinja --port 8080",
            more="With Ollama, which takes template and stop tokens from the `Modelfile`:\n\n```sh\n"
            "ollama create my-model --file Modelfile\nollama run my-model\n```",
        )

    def rise(self) -> float:
        """Return the normal rise of perplexity."""
        return RISE.get(self.precision, SMALL)


def write_file(source: Source, path: Path, precision: str) -> dict[str, int]:
    """Write the GGUF file at `path`; return how many tensors have which type.

    The weights of the model in memory become those that were written.
    """
    import gguf

    from potstill.exporting.decoders import gguf_layout
    from potstill.exporting.decoders.gguf_tensors import tensors

    config = source.model.config
    writer = gguf.GGUFWriter(str(path), gguf_layout.name_of(config))
    gguf_layout.add_sizes(writer, config, source.name)
    _add_tokenizer(writer, source)
    writer.add_file_type(getattr(gguf.LlamaFileType, file_type(precision)))
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    types: dict[str, int] = {}
    for name, values, kind in tensors(source.model, precision):
        writer.add_tensor(name, values, raw_dtype=kind)
        types[kind.name] = types.get(kind.name, 0) + 1
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return types


def file_type(precision: str) -> str:
    """Return the name of the file type."""
    return "ALL_F32" if precision == "f32" else f"MOSTLY_{precision.upper()}"


def quantize_further(source: Path, target: Path, precision: str) -> None:
    """Make a file of a K type from the float16 one at `source`, and delete that.

    Raises:
        PotstillError: llama.cpp failed.
    """
    tool = shutil.which(QUANTIZE)
    if tool is None:
        _quantize_by_library(source, target, precision)
    else:
        command = [tool, str(source), str(target), precision.upper()]
        completed = subprocess.run(command, capture_output=True, text=True, check=False)
        if completed.returncode:
            printed = completed.stderr.strip()[-1000:]
            raise PotstillError(f"{QUANTIZE} failed (exit code {completed.returncode}): {printed}")
    source.unlink()


def _quantize_by_library(source: Path, target: Path, precision: str) -> None:
    """Do what the tool does by llama-cpp-python."""
    import ctypes

    import llama_cpp

    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_{file_type(precision)}")
    code = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(options))
    if code:
        raise PotstillError(f"llama.cpp can't make {precision} of the float16 file (code {code})")


def has_library() -> bool:
    """Return whether llama.cpp is here as the package llama-cpp-python."""
    return importlib.util.find_spec("llama_cpp") is not None


def _widths(model: PretrainedModel) -> list[int]:
    from potstill.compression.layerwise import block_layers

    return [layer.in_features for layer in block_layers(model).values()]


def _add_tokenizer(writer: Any, source: Source) -> None:
    """Write the tokenizer and its chat template."""
    tokenizer = source.tokenizer
    vocabulary = gguf_tokenizer.vocabulary(tokenizer, source.model.config.vocab_size)
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.kinds)
    if vocabulary.scores:
        writer.add_token_scores(vocabulary.scores)
        writer.add_add_space_prefix(vocabulary.adds_space)
    else:
        writer.add_token_merges(vocabulary.merges)
    writer.add_add_bos_token(vocabulary.adds_bos)
    for number, add in (
        (tokenizer.bos_token_id, writer.add_bos_token_id),
        (tokenizer.eos_token_id, writer.add_eos_token_id),
        (tokenizer.pad_token_id, writer.add_pad_token_id),
    ):
        if number is not None:
            add(number)
    if isinstance(tokenizer.chat_template, str):
        writer.add_chat_template(tokenizer.chat_template)
