"""How vLLM is started, and what is seen of a server that starts and then fails at the first question."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import exported
import typed_models
from potstill.engine.running.services import HOST, Running
from potstill.errors import BadInput, PotstillError
from potstill.exporting.decoders.compressed_tensors import CompressedTensors
from potstill.exporting.decoders.vllm_runtime import Served


@pytest.mark.parametrize(
    ("name", "room"), [("Phi-4-mini", " --max-model-len 256 --port"), ("Llama 3", " model --port")]
)
def test_longrope_is_served_with_the_factors_that_were_measured(tmp_path, name, room):
    """With room for longer texts vLLM would take those of longer texts for all."""
    serving = CompressedTensors("bf16").serving(exported.source(typed_models.folder(tmp_path, name)))
    assert room in serving.command and ("LongRoPE" in serving.more) == ("max" in room)


@pytest.mark.parametrize(
    ("name", "what"),
    [("StableLM, parallel", "attention and feed-forward that read one norm"), ("Falcon", "of 128 units")],
)
def test_what_vllm_computes_otherwise_is_refused(tmp_path, name, what):
    """It serves the one with a perplexity of 470 in place of 292, and fails on the weights of the other."""
    source = exported.source(typed_models.folder(tmp_path, name))
    with pytest.raises(BadInput, match=what):
        CompressedTensors("bf16").check(source)
    CompressedTensors("bf16", needs_kernels=False).check(source)


class Failing(BaseHTTPRequestHandler):
    """Answers as vLLM does when its engine has failed."""

    def do_POST(self) -> None:
        """Answer 500."""
        self.send_response(500)
        self.end_headers()
        self.wfile.write(b'{"error":{"message":"EngineCore encountered an issue. See stack trace (above)"}}')

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_the_reason_is_what_the_server_printed(tmp_path):
    server = HTTPServer((HOST, 0), Failing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "vllm-export.log").write_text("RuntimeError: Unsupported CPU attention configuration: head_dim=16\n")
    served = object.__new__(Served)  # a real one takes a minute to start
    served.server = Running(server.server_port, "secret", tmp_path / "vllm-export.json")
    served.url = f"http://{HOST}:{server.server_port}"
    try:
        with pytest.raises(PotstillError, match=r"answers 500; it last printed:\n +RuntimeError: Unsupported CPU att"):
            served.log_probabilities([5, 6, 7])
    finally:
        server.shutdown()
