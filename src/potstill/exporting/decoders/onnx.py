"""ONNX with a key-value cache, by the model builder of onnxruntime-genai: the folder that its runtime serves.

Weights are rounded to nearest in groups along the input features (MatMulNBits, contrib operators of ONNX Runtime);
activations are quantized to int8 while serving (accuracy level 4, the builder's default on CPUs).
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from potstill.compression.model_types import runtimes_of, types_where
from potstill.errors import BadInput, PotstillError
from potstill.exporting.exporter import Serving, Source, Written, need_packages
from potstill.exporting.silence import quiet

if TYPE_CHECKING:
    from potstill.exporting.exporter import RuntimeName

Precision = Literal["int4", "int8", "f32"]
"""How the weights of the linear layers are stored."""
PACKAGES = ("onnxruntime_genai", "onnxruntime", "onnx", "onnx_ir")
"""What the builder imports."""
RISE = {"f32": 0.005, "int8": 0.02, "int4": 0.25}
"""Normal rise of perplexity by precision."""
SCRIPT = """
import onnxruntime_genai as og

model = og.Model(".")
tokenizer = og.Tokenizer(model)
chat = '[{"role": "user", "content": "What can you do?"}]'
prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True)
parameters = og.GeneratorParams(model)
parameters.set_search_options(max_length=MAX_LENGTH, do_sample=False)
generator = og.Generator(model, parameters)
generator.append_tokens(tokenizer.encode(prompt))
stream = tokenizer.create_stream()
while not generator.is_done():
    generator.generate_next_token()
    print(stream.decode(generator.get_next_tokens()[0]), end="", flush=True)
print()
"""
"""Answers one question; `MAX_LENGTH` is the model's."""
LONGEST = 512
"""Tokens that the script reads and writes at most."""


@dataclass(frozen=True)
class ONNX:
    """Writes a folder for onnxruntime-genai."""

    precision: Precision = "int4"
    """How the weights are stored."""
    group_size: int = 32
    """Input features that share a scale: 32, 64 or 128."""

    def check(self, source: Source) -> None:
        """Make sure that `source` can be written.

        Raises:
            BadInput: it can't.
        """
        need_packages("onnx", PACKAGES)
        config = source.model.config
        built, window = runtimes_of(config).genai, getattr(config, "sliding_window", None)
        if built == "fails":
            supported = ", ".join(types_where(lambda arch: arch.runtimes.genai != "fails"))
            raise BadInput(
                f"onnxruntime-genai can't build models of type {config.model_type!r} here; supported are {supported}: "
                'take one of these, or format="openvino" or "gguf"'
            )
        if built == "builds without a window" and window and window < LONGEST:
            raise BadInput(
                f"attention looks back on {window} tokens only (sliding_window), which the builder writes otherwise "
                f"than transformers computes, and texts of up to {LONGEST} tokens are read: take another format, or a "
                "model without a window"
            )

    def write(self, source: Source, folder: Path) -> Written:
        """Build the model, and keep the tokenizer files that lie in `folder` already.

        Raises:
            PotstillError: the builder failed.
        """
        from onnxruntime_genai.models.builder import create_model, parse_extra_options

        precision = {"f32": "fp32"}.get(self.precision, self.precision)
        source_folder, options = str(source.folder), ["hf_token=false"]
        options += [] if self.precision == "f32" else [f"block_size={self.group_size}"]
        # the step has put them there, with a chat template that the builder's copies lack
        tokenizer_files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        cache = folder / "cache"
        try:
            with quiet("onnxruntime") as printed:
                extra = parse_extra_options("", source_folder, str(folder), precision, "cpu", str(cache), options)
                create_model("", source_folder, str(folder), precision, "cpu", str(cache), **extra)
        except Exception as error:  # the builder raises many kinds
            last = f"it last printed: {printed.getvalue()[-300:]}"
            raise PotstillError(
                f"onnxruntime-genai's builder failed: {type(error).__name__}: {error}; {last}"
            ) from error
        # the builder has written tokenizer files of its own over them
        for name, content in tokenizer_files.items():
            (folder / name).write_bytes(content)
        _remove_empty(cache)
        source.model.config.save_pretrained(folder)
        stored = {} if self.precision == "f32" else {"weights": f"{self.precision} in groups of {self.group_size}"}
        return Written(False, tuple(stored.items()))

    def readers(self) -> tuple[RuntimeName, ...]:
        """Return who can read the folder."""
        return ("onnxruntime-genai",)

    def serving_runtime(self) -> RuntimeName:
        """Return who serves the folder."""
        return "onnxruntime-genai"

    def serving(self, source: Source) -> Serving:
        """Return how the folder is served."""
        from importlib.metadata import version

        longest = min(LONGEST, source.model.config.max_position_embeddings)
        return Serving(
            f"pip install onnxruntime-genai=={version('onnxruntime-genai')}",
            "onnxruntime-genai runs the model in any Python, C++, C# or Java program; here it answers one question.",
            SCRIPT.replace("MAX_LENGTH", str(longest)),
            language="python",
        )

    def rise(self) -> float:
        """Return the normal rise of perplexity."""
        return RISE[self.precision]


def context_length(folder: Path) -> int:
    """Return how many tokens the exported model in `folder` reads."""
    settings = json.loads((folder / "genai_config.json").read_text(encoding="utf-8"))
    return int(settings["model"]["context_length"])


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
