"""An encoder-decoder as two ONNX files for ONNX Runtime alone, which reads and writes a text at a time.

The decoder reads all that is written so far for each token, without a key-value cache: exact, and for the short texts
that such models write about as fast. At 8 bits linear layers have a scale for each output feature and their inputs one
for all (`onnx_graph.products_in_bytes`), and embeddings a scale a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from potstill.errors import BadInput
from potstill.exporting.exporter import Serving, Source, Written, need_packages
from potstill.exporting.silence import quiet

if TYPE_CHECKING:
    from potstill.exporting.exporter import RuntimeName

ENCODER, DECODER = "encoder_model.onnx", "decoder_model.onnx"
"""Names of the two halves."""
LARGEST = 2_000_000_000
"""Most bytes of float32 weights of a half, because one ONNX file holds 2 GB."""
PRECISIONS = ("f32", "int8")
"""What can be stored."""
RISE = {"f32": 0.005, "int8": 0.05}
"""Normal rise of perplexity by precision."""
LONGEST = 128
"""Tokens that the script writes at most."""
EXACT = ("session.x64quantprecision", "1")
"""ONNX Runtime's setting that keeps sums of int8 products from saturating on x86 processors without VNNI instructions,
where it takes slower products; on others it changes nothing."""
SCRIPT = """
import sys

import numpy as np
import onnxruntime
READER

options = onnxruntime.SessionOptions()
options.add_session_config_entry("EXACT_NAME", "EXACT_VALUE")  # exact on processors without VNNI, too
encoder, decoder = (onnxruntime.InferenceSession(f"{half}_model.onnx", options) for half in ("encoder", "decoder"))
source = ENCODE(sys.argv[1] if len(sys.argv) > 1 else "What can you do?")
states = encoder.run(None, {"input_ids": np.array([source])})[0]
written = WRITTEN
for _ in range(LONGEST):
    read = {"input_ids": np.array([written]), "encoder_hidden_states": states}
    logits = decoder.run(None, read)[0][0, -1]
    logits[BANNED] = -np.inf
    written.append(int(logits.argmax()))
    if written[-1] in ENDS:
        break
print(tokenizer.decode(written[1:], skip_special_tokens=True))
"""
"""Answers one text."""
FAST = 'from tokenizers import Tokenizer\n\ntokenizer = Tokenizer.from_file("tokenizer.json")'
SLOW = 'from transformers import AutoTokenizer\n\ntokenizer = AutoTokenizer.from_pretrained(".")'


@dataclass(frozen=True)
class ONNXPairs:
    """Writes `encoder_model.onnx` and `decoder_model.onnx`."""

    precision: str = "int8"
    """How the weights are stored: `f32` or `int8`."""

    def check(self, source: Source) -> None:
        """Make sure that `source` can be written.

        Raises:
            BadInput: it can't.
        """
        from potstill.compression.text_pairs import start_token

        need_packages("onnx", ("onnxruntime", "onnx"))
        start_token(source.model.config)
        problems = []
        if self.precision not in PRECISIONS:
            problems.append(
                f"an encoder-decoder is written to ONNX as {' or '.join(PRECISIONS)}, not {self.precision!r}: "
                "set precision"
            )
        size = sum(weight.numel() * 4 for weight in source.model.parameters())
        if size > LARGEST:
            problems.append(
                f"the model {source.folder} has {size / 1e9:.1f} GB of weights in float32, and one ONNX file holds 2 "
                "GB: take a smaller student"
            )
        if problems:
            raise BadInput(*problems)

    def write(self, source: Source, folder: Path) -> Written:
        """Write both halves and the config."""
        import onnx

        from potstill.exporting.decoders.onnx_graph import linear_as_matmul, products_in_bytes, tables_in_bytes
        from potstill.exporting.decoders.onnx_pairs_graph import traced

        with quiet("onnxruntime"):
            for name, graph in zip((ENCODER, DECODER), traced(source.model), strict=True):
                if self.precision == "int8":
                    linear_as_matmul(graph.graph)
                    tables_in_bytes(graph.graph)
                    products_in_bytes(graph.graph)
                onnx.save_model(graph, str(folder / name))
        source.model.config.save_pretrained(folder)
        if self.precision == "f32":
            return Written(False)
        return Written(False, (("weights", "int8, a scale for each output"), ("activations", "int8 while serving")))

    def readers(self) -> tuple[RuntimeName, ...]:
        """Return who can read the folder."""
        return ("onnxruntime",)

    def serving_runtime(self) -> RuntimeName:
        """Return who serves the folder."""
        return "onnxruntime"

    def serving(self, source: Source) -> Serving:
        """Return how the folder is served."""
        from importlib.metadata import version

        from potstill.exporting.decoders.pairs_probe import rules_of

        rules = rules_of(source.model.generation_config.to_dict(), source.model.config.to_dict())
        fast = bool(getattr(source.tokenizer, "is_fast", False))
        package = "tokenizers" if fast else "transformers"
        values = {
            "READER": FAST if fast else SLOW,
            "ENCODE(": "(lambda text: tokenizer.encode(text).ids)(" if fast else "tokenizer.encode(",
            "EXACT_NAME": EXACT[0],
            "EXACT_VALUE": EXACT[1],
            "WRITTEN": repr([rules.start] if rules.first is None else [rules.start, rules.first]),
            "LONGEST": str(LONGEST),
            "ENDS": repr(list(rules.ends)),
            "BANNED": repr(list(rules.banned)),
        }
        script = SCRIPT
        for name, value in values.items():
            script = script.replace(name, value)
        return Serving(
            f"pip install numpy onnxruntime=={version('onnxruntime')} {package}=={version(package)}",
            "ONNX Runtime runs the model in any Python, C++, C# or Java program; here it answers one text.",
            script,
            language="python",
        )

    def rise(self) -> float:
        """Return the normal rise of perplexity."""
        return RISE[self.precision]
