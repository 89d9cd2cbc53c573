"""What is seen of a server that starts, and then fails at the first question."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from potstill.engine.running.services import HOST, Running
from potstill.errors import PotstillError
from potstill.exporting.decoders.vllm_runtime import Served


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
