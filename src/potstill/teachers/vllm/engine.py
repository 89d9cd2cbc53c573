"""vLLM inside this process: requests to its parameters, its outputs to responses. Nothing else imports vLLM.

Shapes: T tokens of the response, K kept entries a token.
"""

from __future__ import annotations

import gc
import itertools
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from potstill.errors import BadInput
from potstill.teachers.chat_tokens import Encoded, Renderer, refused
from potstill.teachers.openai.answers import ending
from potstill.teachers.protocol import Request, Response, Sampling
from potstill.teachers.vllm.arguments import SERVED_NAME, engine_arguments
from potstill.teachers.vllm.settings import Settings, missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

QUEUED = 2
"""Requests known to vLLM, as a multiple of those it decodes: enough that its batch never runs dry."""


@contextmanager
def offline(teacher: Settings, *, threads: int) -> Iterator[VLLMSession]:
    """Load the model of `teacher`; on exit free its memory.

    Raises:
        MissingExtra: vLLM is not installed.
        BadInput: the model can't be loaded, or can't chat.
    """
    with _quiet_engine(threads):
        from potstill.models.chat import check_tokenizer

        engine, lora = _load(teacher)
        try:
            tokenizer = engine.get_tokenizer()
            check_tokenizer(tokenizer)
            config = engine.llm_engine.vllm_config
            renderer = Renderer(tokenizer, teacher.system, teacher.thinking, config.model_config.max_model_len)
            yield VLLMSession(engine, tokenizer, renderer, config.scheduler_config.max_num_seqs * QUEUED, lora)
        finally:
            engine.llm_engine.engine_core.shutdown()
            del engine


def _load(teacher: Settings) -> tuple[Any, Any]:
    """Build the engine; return it and the adapter that its requests name, if any."""
    vllm = _import_vllm()
    _let_scan()
    try:
        engine = vllm.LLM(**engine_arguments(teacher), disable_log_stats=True, use_tqdm_on_load=False)
        if teacher.lora is None:
            return engine, None
        from vllm.lora.request import LoRARequest

        from potstill.teachers.lora_adapter import adapter_folder

        lora = LoRARequest(SERVED_NAME, 1, str(adapter_folder(teacher.lora)))
        engine.llm_engine.add_lora(lora)
    except (ValueError, OSError) as error:
        adapter = "" if teacher.lora is None else f" with the adapter {str(teacher.lora)!r}"
        raise BadInput(f"vLLM can't load the model {str(teacher.model)!r}{adapter}: {error}") from error
    return engine, lora


def _let_scan() -> None:
    """Let vLLM's CPU build look through all modules for kernels after numba was imported (by its own n-gram guesses).

    llvmlite has an object that answers any attribute, `__dict__` too, with a function, where vLLM expects a dict.
    """
    foreign = sys.modules.get("llvmlite.binding.ffi")
    function = getattr(foreign, "_lib_fn_wrapper", None)
    if function is not None:
        function.get = lambda _self, _name: None


@dataclass
class VLLMSession:
    """A loaded model. Requests join the running batch as others leave it, so it is full until the last ones."""

    engine: Any
    """The `vllm.LLM`."""
    tokenizer: Any
    """Its tokenizer."""
    renderer: Renderer
    """Turns chats into tokens."""
    queue: int
    """Requests that vLLM knows at a time; more would only take memory."""
    lora: Any = None
    """The adapter that the requests name, if any."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        """Yield `(index, response)` as the responses finish; `requests` are drawn as there is room for them."""
        core = self.engine.llm_engine
        source = enumerate(requests)
        running: dict[str, tuple[int, Request, Encoded]] = {}
        try:
            while True:
                # refilling by the batch lets the tokenizer work on many texts at once
                if len(running) <= self.queue * 3 // 4:
                    batch = list(itertools.islice(source, self.queue - len(running)))
                    yield from self._add(core, batch, running)
                if not running:
                    return
                for output in core.step():
                    if output.finished:
                        index, request, encoded = running.pop(output.request_id)
                        yield index, self._response(output, request, encoded)
        finally:
            if running:
                # the caller stopped early: or they would decode on beside those of the next call
                core.abort_request(list(running))

    def stream(self, request: Request, show: Callable[[str], None]) -> Response:
        """Return the response, calling `show` with the text so far after each step of the engine."""
        from vllm.exceptions import VLLMClientError
        from vllm.inputs import tokens_input
        from vllm.sampling_params import RequestOutputKind

        (prompt,) = self.renderer.encode([request])
        if isinstance(prompt, Response):
            return prompt
        core, number = self.engine.llm_engine, f"potstill-{next(self._numbers)}"
        parameters = _parameters_of(request).clone()
        parameters.output_kind = RequestOutputKind.CUMULATIVE
        try:
            core.add_request(number, tokens_input(prompt.ids), parameters, lora_request=self.lora)
        except (ValueError, VLLMClientError) as error:
            return refused(str(error))
        try:
            while True:
                for output in core.step():
                    if output.finished:
                        number = ""
                        return self._response(output, request, prompt)
                    show(self.renderer.decoder.text(list(output.outputs[0].token_ids)))
        finally:
            if number:
                core.abort_request([number])

    def _add(
        self, core: Any, batch: list[tuple[int, Request]], running: dict[str, tuple[int, Request, Encoded]]
    ) -> Iterator[tuple[int, Response]]:
        """Hand `batch` to vLLM; yield an error for each request that it refuses."""
        from vllm.exceptions import VLLMClientError
        from vllm.inputs import tokens_input

        encoded = self.renderer.encode([request for _, request in batch])
        for (index, request), prompt in zip(batch, encoded, strict=True):
            if isinstance(prompt, Response):
                yield index, prompt
                continue
            number = f"potstill-{next(self._numbers)}"
            try:
                core.add_request(number, tokens_input(prompt.ids), _parameters_of(request), lora_request=self.lora)
            except (ValueError, VLLMClientError) as error:
                yield index, refused(str(error))
            else:
                running[number] = (index, request, prompt)

    def _response(self, output: Any, request: Request, encoded: Encoded) -> Response:
        """Turn a finished vLLM output into a response."""
        import numpy as np

        completion, read, k = output.outputs[0], len(encoded.ids), request.sampling.top_k
        finish = ending(completion.finish_reason)
        if finish not in ("stop", "length"):
            return Response(f"vLLM ended the request: {completion.finish_reason}", "error", read)
        if request.scores:
            ids = np.array(encoded.ids[read - encoded.scored :], np.int32)
            top = entries(output.prompt_logprobs, k, read - encoded.scored)
            return Response(request.continuation or "", "stop", read, 0, ids, top.ids, top.logprobs, top.own)
        written = list(completion.token_ids)
        text = encoded.opened + (completion.text if request.sampling.stop else self.renderer.decoder.text(written))
        if not k:
            return Response(text, finish, read, len(written))
        top, ids = entries(completion.logprobs, k), np.array(written, np.int32)
        return Response(text, finish, read, len(written), ids, top.ids, top.logprobs, top.own)


class Entries(NamedTuple):
    """Log-probabilities of a response."""

    own: NDArray[np.float32]
    """[T] of each token that is there."""
    ids: NDArray[np.int32] | None = None
    """[T, K] the most probable tokens, in order."""
    logprobs: NDArray[np.float16] | None = None
    """[T, K] theirs."""


class FlatLogprobs(Protocol):
    """vLLM's log-probabilities of all positions in one row."""

    start_indices: Sequence[int]
    """Where each position begins."""
    token_ids: Sequence[int]
    logprobs: Sequence[float]


def entries(flat: FlatLogprobs, k: int, first: int = 0) -> Entries:
    """Return what vLLM's `FlatLogprobs` hold from position `first` on.

    At every position they list the token that is there, then the K most probable ones in order.
    """
    import numpy as np

    starts = np.array(flat.start_indices[first:], np.int64)
    origin = int(starts[0])
    # a slice of the flat lists begins at 0 again
    starts -= origin
    logprobs = np.array(flat.logprobs[origin:], np.float32)
    if not k:
        return Entries(logprobs[starts])
    places = starts[:, None] + 1 + np.arange(k)
    ids = np.array(flat.token_ids[origin:], np.int32)[places]
    return Entries(logprobs[starts], ids, logprobs[places].astype(np.float16))


def _parameters_of(request: Request) -> Any:
    """Return vLLM's sampling parameters of `request`."""
    seed = request.seed if request.sampling.temperature > 0 else None
    return _parameters(request.sampling, seed, request.scores)


@lru_cache(maxsize=64)  # greedy requests share theirs, which vLLM copies; making each its own costs a percent
def _parameters(sampling: Sampling, seed: int | None, scores: bool) -> Any:
    """Return vLLM's sampling parameters; with `scores`, those that read a given text."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams

    form = sampling.structured
    if scores:
        # vLLM then reads the whole prompt again, past its prefix cache
        return SamplingParams(
            temperature=0,
            max_tokens=1,
            prompt_logprobs=sampling.top_k,
            flat_logprobs=True,
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
    held = form and StructuredOutputsParams(
        json=form.json_schema or None, regex=form.regex or None, choice=list(form.choice) or None
    )
    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        presence_penalty=sampling.presence_penalty,
        max_tokens=sampling.max_tokens,
        stop=list(sampling.stop),
        seed=seed,
        logprobs=sampling.top_k or None,
        flat_logprobs=bool(sampling.top_k),
        # vLLM needs text only to look for stop strings; otherwise one decode at the end is cheaper
        detokenize=bool(sampling.stop),
        structured_outputs=held,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _import_vllm() -> Any:
    """Import vLLM.

    Raises:
        MissingExtra: it is not installed.
    """
    # one process: no child to outlive a kill, and a model loads in seconds where vLLM is imported already
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    try:
        import vllm
    except ModuleNotFoundError as error:
        if error.name != "vllm":
            raise
        raise missing() from error
    return vllm


@contextmanager
def _quiet_engine(threads: int) -> Iterator[None]:
    """Set the process up for an engine with `threads`, and undo afterwards what vLLM leaves behind."""
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")  # the executor places processes, not vLLM
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    os.environ["OMP_NUM_THREADS"] = str(threads)  # without it vLLM serves with one
    _import_vllm()
    import torch
    from vllm.distributed import cleanup_dist_env_and_memory

    # a process that has imported vLLM already doesn't look at the variable again
    logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"].upper())
    set_threads = torch.set_num_threads  # vLLM replaces it by a function that does nothing
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads = set_threads
        gc.collect()
        cleanup_dist_env_and_memory()
