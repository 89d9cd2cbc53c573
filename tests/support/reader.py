"""A teacher that is a real tiny model run by transformers in float32: it answers greedily, and scores given text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from potstill.teachers.protocol import Request, Response


@dataclass(frozen=True)
class Reader:
    """The tiny model in a folder."""

    model: Any
    system: str = ""
    label: str = "reader"

    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers")
    opened: ClassVar[list[str]] = []
    """Who was opened and closed, in order."""

    def identity(self) -> dict[str, Any]:
        from potstill.models.identity import model_identity

        return {"model": model_identity(self.model), "system": self.system}

    @contextmanager
    def open(self, *, threads: int) -> Iterator[ReaderSession]:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.set_num_threads(threads)
        self.opened.append(f"open {self.label}")
        model = AutoModelForCausalLM.from_pretrained(self.model, dtype=torch.float32).eval()
        yield ReaderSession(model, AutoTokenizer.from_pretrained(self.model))
        self.opened.append(f"close {self.label}")


@dataclass(frozen=True)
class ReaderSession:
    """The loaded model."""

    model: Any
    tokenizer: Any
    calls: ClassVar[list[Request]] = []
    """All requests that were ever answered."""

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        for index, request in enumerate(requests):
            self.calls.append(request)
            yield index, self.answer(request)

    def answer(self, request: Request) -> Response:
        import torch

        from potstill.models.chat import encode, prompt_ids

        if request.continuation is not None:
            ids, prompt = encode(self.tokenizer, request.messages, request.continuation)
        else:
            ids = prompt_ids(self.tokenizer, request.messages)
            prompt = len(ids)
            for _ in range(request.sampling.max_tokens):
                with torch.no_grad():
                    ids.append(int(self.model(torch.tensor([ids])).logits[0, -1].argmax()))
        with torch.no_grad():
            logs = self.model(torch.tensor([ids])).logits[0, prompt - 1 : -1].log_softmax(-1)
        own = logs[range(len(logs)), ids[prompt:]].numpy()
        top = logs.topk(max(1, request.sampling.top_k))
        text = self.tokenizer.decode(ids[prompt:], skip_special_tokens=True)
        answer = Response(text, "stop", prompt, len(ids) - prompt, np.array(ids[prompt:], np.int32))
        kept = (top.indices.numpy().astype(np.int32), top.values.numpy().astype(np.float16))
        return Response(
            **{**vars(answer), "token_logprobs": own, **dict(zip(("top_ids", "top_logprobs"), kept, strict=True))}
        )
