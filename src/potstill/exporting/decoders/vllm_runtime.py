"""vLLM's own server as a runtime that answers for an export, started as `SERVE.md` says; and transformers."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from potstill.engine.running import services
from potstill.errors import PotstillError
from potstill.exporting.folder import command_of
from potstill.exporting.probe import InMemory, plain_tokens
from potstill.models.loading import config_of, pretrained
from potstill.models.positions import alike_positions

LONGEST = 512
"""Tokens of a text that the server makes room for."""
SETTINGS = "--enforce-eager --max-num-seqs 4 --host 127.0.0.1 --port {port}"
"""What the probe adds to the command, so that the server is up soon: it changes no result."""
ENVIRONMENT = {
    "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),  # without it vLLM serves with one
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # as in `potstill.teachers.vllm.server`
    "VLLM_NO_USAGE_STATS": "1",
}
"""Variables of the server."""
FAILED = 500
"""First HTTP status that says that the server failed, rather than refused a question."""
ANSWER_SECONDS = 600.0
"""Longest wait for an answer: kernels are compiled at the first."""


def reloaded(folder: Path) -> InMemory:
    """Load the folder with transformers, in the type that it is stored in."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = pretrained(AutoModelForCausalLM, folder, "be read", {"dtype": "auto"}).eval()
    quantized = getattr(model.config, "quantization_config", None)
    return InMemory(model if quantized else model.to(torch.float32), AutoTokenizer.from_pretrained(folder))


class Served:
    """The command of `SERVE.md`, running; ended by `close`, and when this process is gone."""

    def __init__(self, folder: Path) -> None:
        """Start the server in `folder`, which must be the working folder, and wait until it answers.

        Raises:
            PotstillError: it did not come up.
        """
        from transformers import AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        config = config_of(folder)
        longest = min(LONGEST, config.max_position_embeddings, alike_positions(config) or LONGEST)
        words = shlex.split(command_of(folder).partition("--port")[0])
        # the command's own python is found by its name; here it is the one that runs
        command = [sys.executable, "-P", *words[1:], *SETTINGS.split(), "--max-model-len", str(longest)]
        service = services.Service("vllm-export", tuple(command), ENVIRONMENT, label="vLLM")
        self.stack = ExitStack()
        access = self.stack.enter_context(services.private())
        try:
            self.server = services.reach(service, access)
            self.url = f"http://{services.HOST}:{self.server.port}"
        except BaseException:
            self.close()
            raise

    def log_probabilities(self, ids: Sequence[int], at_once: int | None = None) -> Sequence[float]:
        """Return log p of `ids[1:]`."""
        entries = self._ask({"prompt": list(ids), "max_tokens": 1, "prompt_logprobs": 0})["prompt_logprobs"]
        return [float(entry[str(token)]["logprob"]) for entry, token in zip(entries[1:], ids[1:], strict=True)]

    def continued(self, ids: Sequence[int], count: int) -> Sequence[int]:
        """Return the tokens that greedy decoding adds."""
        choice = self._ask({"prompt": list(ids), "max_tokens": count, "return_token_ids": True})
        return [int(token) for token in choice["token_ids"]]

    def tokenized(self, text: str) -> Sequence[int]:
        """Return the token ids of `text`."""
        return plain_tokens(self.tokenizer, text)

    def title(self) -> str:
        """Return the name and version."""
        import vllm

        return f"vLLM {vllm.__version__}"

    def close(self) -> None:
        """End the server and its processes."""
        self.stack.close()

    def _ask(self, body: dict[str, Any]) -> Any:
        """Send one completion request; returns its only choice."""
        import httpx

        asked = {"model": "model", "temperature": 0, **body}
        # trust_env: a proxy knows nothing of this machine's own ports
        answer = httpx.post(f"{self.url}/v1/completions", json=asked, timeout=ANSWER_SECONDS, trust_env=False)
        if answer.status_code >= FAILED:
            # the answer says that something happened, and the log what: a size that has no kernel, say
            raise PotstillError(f"vLLM answers {answer.status_code}; it last printed:\n{self.server.printed()}")
        if answer.status_code != 200:
            raise PotstillError(f"vLLM answers {answer.status_code}: {answer.text[:500]}")
        return answer.json()["choices"][0]
