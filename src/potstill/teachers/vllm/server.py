"""vLLM servers that Potstill starts itself, shared by the steps of a run, and asked exactly what the engine is asked.

The chat is rendered here, by the model's own template, and sent as token ids. Shapes: T tokens of the response, K kept
entries a token.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from potstill.engine.running import services
from potstill.engine.running.services import HOST, Running
from potstill.errors import BadInput
from potstill.teachers.chat_tokens import Encoded, Renderer
from potstill.teachers.openai.account import Account
from potstill.teachers.openai.address import Address
from potstill.teachers.openai.aimd_window import Window
from potstill.teachers.openai.answers import ending
from potstill.teachers.openai.budget import FREE, Budget
from potstill.teachers.openai.dispatch import Dispatcher
from potstill.teachers.openai.event_loop import event_loop, wait_for
from potstill.teachers.openai.lanes import Job, Lane
from potstill.teachers.openai.payloads import finite, held_to, top_entries, with_entries
from potstill.teachers.protocol import Request, Response, Usage
from potstill.teachers.vllm.arguments import command_line
from potstill.teachers.vllm.replicas import Group, Replica, start_all

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from potstill.models.protocols import Tokenizer
    from potstill.teachers.openai.client import Wire
    from potstill.teachers.vllm.settings import Settings

QUEUED = 2
"""Requests in flight, as a multiple of those that the server decodes side by side: its batch never runs dry."""
ANSWER_SECONDS = 24 * 3600.0
"""Longest wait for an answer: a request may queue, and a server that dies is noticed at once."""
TOGETHER = 32
"""Chats rendered and tokenized at once."""
RETRIES = 5
"""Times a request is sent again."""
DEFAULTS = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
"""Sent with every request: the server would otherwise take the values of the model's generation_config.json."""


@contextmanager
def serve(teacher: Settings, *, threads: int) -> Iterator[ServerSession]:
    """Reach the run's servers of `teacher`, which are started if they don't run; outside of a run they end on exit.

    Raises:
        BadInput: the model can't chat.
        PotstillError: a server did not come up.
    """
    with ExitStack() as stack:
        access = services.current() or stack.enter_context(services.private())
        tokenizer = _tokenizer(teacher)
        loop = stack.enter_context(event_loop())
        slots = _slots(teacher) * QUEUED
        group = Group([])
        for running in start_all(teacher, threads, access):
            group.servers.append(Replica(teacher.label, running, _wire(running, slots), group))
            stack.callback(group.servers[-1].close, loop)
        yield _session(teacher, tokenizer, group, loop, slots)


def _session(
    teacher: Settings, tokenizer: Tokenizer, group: Group, loop: asyncio.AbstractEventLoop, slots: int
) -> ServerSession:
    """Return the session, with the length that the server says its model takes."""
    model = wait_for(loop, group.servers[0].card())
    renderer = Renderer(tokenizer, teacher.system, teacher.thinking, int(model["max_model_len"]))
    lanes = [
        Lane(server.label, server.send, Window(slots), Budget(None, None, FREE, Account())) for server in group.servers
    ]
    return ServerSession(str(model["id"]), tokenizer, renderer, Dispatcher(lanes, RETRIES, loop))


def _wire(running: Running, connections: int) -> Wire:
    """Return connections to the server."""
    from potstill.teachers.openai.client import Secrets, Wire
    from potstill.teachers.openai.connection import connect

    key = {"Authorization": f"Bearer {running.secret}"}
    address = Address(f"http://{HOST}:{running.port}/v1")
    connection = connect(address, key, timeout=ANSWER_SECONDS, connections=connections)
    return Wire(connection, "", Secrets((running.secret,), "this run"), ANSWER_SECONDS)


def _tokenizer(teacher: Settings) -> Any:
    """Load the model's tokenizer."""
    from transformers import AutoTokenizer

    from potstill.models.chat import check_tokenizer

    commit = teacher.identity()["model"].get("commit")
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(teacher.model), revision=commit, trust_remote_code=teacher.trust_remote_code
        )
    except (ValueError, OSError) as error:
        raise BadInput(f"the tokenizer of {str(teacher.model)!r} can't be loaded: {error}") from error
    check_tokenizer(tokenizer)
    return tokenizer


def _slots(teacher: Settings) -> int:
    """Return how many sequences the server decodes side by side."""
    sizes = [part.partition("=")[2] for part in command_line(teacher) if part.startswith("--max-num-seqs=")]
    return int(sizes[0] if sizes else 256) * teacher.data_parallel


@dataclass(frozen=True)
class _Asked:
    """One request as it is sent."""

    fields: dict[str, Any]
    request: Request
    encoded: Encoded
    renderer: Renderer

    def read(self, answer: Mapping[str, Any], usage: Usage | None) -> Response:
        """Read an answer; anything missing raises, and the request is sent again."""
        import numpy as np

        del usage  # the tokens themselves are there

        choice, sampling, read = answer["choices"][0], self.request.sampling, len(self.encoded.ids)
        if self.request.scores:
            first = read - self.encoded.scored
            scored = self.encoded.ids[first:]
            places = [_numbered(place) for place in choice["prompt_logprobs"][first:]]
            own = np.array([place[token] for token, place in zip(scored, places, strict=True)], np.float32)
            ids, logprobs = top_entries(places, sampling.top_k) if sampling.top_k else (None, None)
            token_ids = np.array(scored, np.int32)
            text = self.request.continuation or ""
            return Response(text, "stop", read, 0, token_ids, ids, logprobs, finite(own))
        finish, written = ending(choice["finish_reason"]), choice["token_ids"]
        if finish not in ("stop", "length"):
            return Response(f"vLLM ended the request: {choice['finish_reason']}", "error", read)
        text = self.encoded.opened + (choice["text"] if sampling.stop else self.renderer.decoder.text(written))
        response = Response(text, finish, read, len(written))
        return with_entries(response, choice, sampling.top_k) if sampling.top_k else response


def _numbered(place: Mapping[str, Any]) -> dict[int, float]:
    """Return the log-probabilities at one position of a prompt by token id."""
    return {int(token): float(entry["logprob"]) for token, entry in place.items()}


@dataclass
class ServerSession:
    """Servers that are ready."""

    model: str
    """The name by which they know the model."""
    tokenizer: Any
    """The model's tokenizer."""
    renderer: Renderer
    """Turns chats into tokens."""
    dispatcher: Dispatcher = field(repr=False)
    """Sends the requests."""

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        """Yield `(index, response)` as the responses arrive; `requests` are drawn as there is room for them.

        Raises:
            PotstillError: all servers have died.
        """
        return self.dispatcher.run(self._jobs(requests))

    def _jobs(self, requests: Iterable[Request]) -> Iterator[Job | tuple[int, Response]]:
        """Render the requests; yield a response for each that can't be asked."""
        source = enumerate(requests)
        while batch := list(itertools.islice(source, TOGETHER)):
            encoded = self.renderer.encode([request for _, request in batch])
            for (index, request), prompt in zip(batch, encoded, strict=True):
                if isinstance(prompt, Response):
                    yield index, prompt
                else:
                    yield Job(index, self._asked(request, prompt))

    def _asked(self, request: Request, encoded: Encoded) -> _Asked:
        """Return what is sent."""
        sampling = request.sampling
        fields: dict[str, Any] = {"model": self.model, "prompt": encoded.ids, **DEFAULTS}
        if request.scores:
            fields |= {"temperature": 0.0, "max_tokens": 1, "prompt_logprobs": sampling.top_k}
            return _Asked(fields, request, encoded, self.renderer)
        longest = self.renderer.limit - len(encoded.ids)  # more is refused, where the engine would cut it
        fields |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "return_token_ids": True}
        fields |= {"max_tokens": min(sampling.max_tokens, longest), **held_to(sampling)}
        if sampling.presence_penalty:
            fields["presence_penalty"] = sampling.presence_penalty
        if sampling.stop:
            fields["stop"] = list(sampling.stop)
        if sampling.temperature > 0:
            fields["seed"] = request.seed
        if sampling.top_k:
            fields |= {"logprobs": sampling.top_k, "return_tokens_as_token_ids": True}
        return _Asked(fields, request, encoded, self.renderer)
