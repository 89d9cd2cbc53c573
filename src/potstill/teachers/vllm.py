"""Teachers served by vLLM, inside the step's own process: every name of vLLM that Potstill uses is in this file.

Shapes: T tokens of the response, K kept entries a token.
"""

from __future__ import annotations

import gc
import importlib.util
import itertools
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Interval

from potstill.errors import BadInput, MissingExtra, Problem
from potstill.step import Model
from potstill.teachers.protocol import Messages, Request, Response, Sampling, with_system

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CPU_SEQUENCES, GPU_SEQUENCES = 64, 256
"""Sequences decoded side by side where `max_num_seqs` is not given; 64 filled two CPU cores."""
QUEUED = 2
"""Requests known to vLLM, as a multiple of those it decodes: enough that its batch never runs dry."""


@dataclass(frozen=True)
class VLLM:
    """A teacher (or any chat model) run by vLLM's offline engine (Kwon et al. 2023).

    Log-probabilities are those of the temperature-1 distribution (`raw_logprobs`), whatever the sampling is.
    """

    model: Model
    """A Hub id, a local folder, or a step that makes a model."""
    system: str = field(default="", kw_only=True)
    """System prompt put before every chat; a system message of the prompt template follows it."""
    dtype: str = field(default="auto", kw_only=True)
    """Type to compute in; `auto` is the one that the model's config names."""
    quantization: str | None = field(default=None, kw_only=True)
    """vLLM's name of a quantization to apply; None reads it from the model's config."""
    max_model_length: Annotated[int, Ge(1)] | None = field(default=None, kw_only=True)
    """Longest prompt and response together, in tokens; None is what the model's config allows."""
    max_num_seqs: Annotated[int, Ge(1)] | None = field(default=None, kw_only=True)
    """Sequences decoded side by side; None is 64 on a CPU and 256 on a GPU."""
    kv_cache_gib: Annotated[float, Gt(0)] | None = field(default=None, kw_only=True)
    """Attention cache, in GiB; None is what all sequences need, 4 at most, on a CPU, and on a GPU what
    `memory_fraction` leaves."""
    memory_fraction: Annotated[float, Interval(gt=0, le=1)] = field(default=0.9, kw_only=True)
    """Share of a GPU's memory that weights and cache may take."""
    tensor_parallel: Annotated[int, Ge(1)] = field(default=1, kw_only=True)
    """GPUs that one layer is split over."""
    enforce_eager: bool | None = field(default=None, kw_only=True)
    """Whether nothing is compiled; None does so on a CPU, where compiling takes longer than it gains."""
    thinking: bool | None = field(default=None, kw_only=True)
    """Whether a model that can think aloud (Qwen3) does so before it answers; None leaves it to its chat template."""
    seed: int = field(default=0, kw_only=True)
    """Seed of the engine; a request that samples brings its own."""
    trust_remote_code: bool = field(default=False, kw_only=True)
    """Whether code from the model's repository may run."""

    heavy: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("torch", "transformers", "vllm")
    unkeyed: ClassVar[frozenset[str]] = frozenset(
        {"max_num_seqs", "kv_cache_gib", "memory_fraction", "tensor_parallel", "enforce_eager", "seed"}
    )

    @property
    def label(self) -> str:
        """Short name for reports."""
        from potstill.modelcard import name_of

        return name_of(str(self.model))

    def identity(self) -> dict[str, Any]:
        """Return what the responses depend on: the model's content, the system prompt, and how it computes."""
        from potstill.models import model_identity

        depends: dict[str, Any] = {
            "model": model_identity(self.model),
            "system": self.system,
            "dtype": self.dtype,
            "quantization": self.quantization,
            "max_model_length": self.max_model_length,
        }
        chosen = {"thinking": self.thinking} if self.thinking is not None else {}
        return {**depends, **chosen, **({"trust_remote_code": True} if self.trust_remote_code else {})}

    def check(self) -> Iterable[Problem]:
        """Yield what would keep the teacher from starting, without importing vLLM."""
        if importlib.util.find_spec("vllm") is None:
            yield Problem("", "teacher", str(_missing()))

    @contextmanager
    def open(self, *, threads: int) -> Iterator[VLLMSession]:
        """Load the model; on exit free its memory.

        Raises:
            MissingExtra: vLLM is not installed.
            BadInput: the model can't be loaded, or can't chat.
        """
        from potstill.chat import check_tokenizer

        with _quiet_engine(threads):
            engine = self._load()
            try:
                tokenizer = engine.get_tokenizer()
                check_tokenizer(tokenizer)
                slots = engine.llm_engine.vllm_config.scheduler_config.max_num_seqs
                yield VLLMSession(engine, tokenizer, self.system, slots * QUEUED, self.thinking)
            finally:
                engine.llm_engine.engine_core.shutdown()
                del engine

    def _load(self) -> Any:
        """Build the engine."""
        from potstill.teachers.memory import cpu_cache

        vllm, on_cpu = _import_vllm()
        commit = self.identity()["model"].get("commit")
        sequences = self.max_num_seqs or (CPU_SEQUENCES if on_cpu else GPU_SEQUENCES)
        cache = None if self.kv_cache_gib is None else int(self.kv_cache_gib * 2**30)
        if on_cpu and cache is None:
            cache = cpu_cache(str(self.model), commit, sequences, self.max_model_length, remote=self.trust_remote_code)
        try:
            return vllm.LLM(
                str(self.model),
                revision=commit,
                tokenizer_revision=commit,
                dtype=self.dtype,
                quantization=self.quantization,
                max_model_len=self.max_model_length,
                max_num_seqs=sequences,
                kv_cache_memory_bytes=cache,
                gpu_memory_utilization=self.memory_fraction,
                tensor_parallel_size=self.tensor_parallel,
                enforce_eager=on_cpu if self.enforce_eager is None else self.enforce_eager,
                seed=self.seed,
                # a prompt read in parts makes vLLM wind back its seeded generator, which CPU generators can't do
                enable_chunked_prefill=False if on_cpu else None,
                trust_remote_code=self.trust_remote_code,
                max_logprobs=-1,  # vLLM's own limit is 20
                logprobs_mode="raw_logprobs",
                disable_log_stats=True,
                use_tqdm_on_load=False,
            )
        except (ValueError, OSError) as error:
            raise BadInput(f"vLLM can't load the model {str(self.model)!r}: {error}") from error


@dataclass
class VLLMSession:
    """A loaded model. Requests join the running batch as others leave it, so it is full until the last ones."""

    engine: Any
    """The `vllm.LLM`."""
    tokenizer: Any
    """Its tokenizer."""
    system: str
    """System prompt put before every chat."""
    queue: int
    """Requests that vLLM knows at a time; more would only take memory."""
    thinking: bool | None = None
    """What the chat template is told of thinking, if anything."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Response]]:
        """Yield `(index, response)` as the responses finish; `requests` are drawn as there is room for them."""
        core = self.engine.llm_engine
        source = enumerate(requests)
        running: dict[str, tuple[int, Request]] = {}
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
                        index, request = running.pop(output.request_id)
                        yield index, self._response(output, request.sampling)
        finally:
            if running:
                core.abort_request(list(running))

    def _add(
        self, core: Any, batch: list[tuple[int, Request]], running: dict[str, tuple[int, Request]]
    ) -> Iterator[tuple[int, Response]]:
        """Hand `batch` to vLLM; yield an error for each request that it refuses."""
        from vllm.exceptions import VLLMClientError
        from vllm.inputs import tokens_input

        texts: list[str] = []
        asked: list[tuple[int, Request]] = []
        for index, request in batch:
            try:
                texts.append(self._render(request.messages))
                asked.append((index, request))
            except Exception as error:  # noqa: BLE001 - a chat template may raise anything, and spoils this row alone
                yield index, _refused(error)
        tokens = self.tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
        for (index, request), ids in zip(asked, tokens, strict=True):
            number = f"potstill-{next(self._numbers)}"
            try:
                core.add_request(number, tokens_input(ids), _parameters(request))
            except (ValueError, VLLMClientError) as error:
                yield index, _refused(error)
            else:
                running[number] = (index, request)

    def _render(self, messages: Messages) -> str:
        """Return the text of the chat, up to where the assistant starts."""
        chat = with_system(self.system, messages)
        told = {} if self.thinking is None else {"enable_thinking": self.thinking}
        return str(self.tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False, **told))

    def _response(self, output: Any, sampling: Sampling) -> Response:
        """Turn a finished vLLM output into a response."""
        import numpy as np

        made, prompt_tokens = output.outputs[0], len(output.prompt_token_ids)
        if made.finish_reason not in ("stop", "length"):
            return Response(f"vLLM ended the request: {made.finish_reason}", "error", prompt_tokens)
        ids = list(made.token_ids)
        text = made.text if sampling.stop else self.tokenizer.decode(ids, skip_special_tokens=True)
        response = Response(text, made.finish_reason, prompt_tokens, len(ids))
        if not sampling.top_k:
            return response
        top_ids, top_logprobs = top_entries(made.logprobs, sampling.top_k)
        return Response(
            text, made.finish_reason, prompt_tokens, len(ids), np.array(ids, np.int32), top_ids, top_logprobs
        )


def top_entries(flat: Any, k: int) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
    """Return ids and log-probabilities [T, K] of vLLM's `FlatLogprobs`.

    At every position it lists the drawn token first, then the K most probable ones in order.
    """
    import numpy as np

    places = np.array(flat.start_indices, np.int64)[:, None] + 1 + np.arange(k)
    ids = np.array(flat.token_ids, np.int32)[places]
    return ids, np.array(flat.logprobs, np.float32)[places].astype(np.float16)


def _parameters(request: Request) -> Any:
    """Return vLLM's sampling parameters of `request`."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    sampling = request.sampling
    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_tokens=sampling.max_tokens,
        stop=list(sampling.stop),
        seed=request.seed if sampling.temperature > 0 else None,
        logprobs=sampling.top_k or None,
        flat_logprobs=bool(sampling.top_k),
        # vLLM needs text only to look for stop strings; otherwise one decode at the end is cheaper
        detokenize=bool(sampling.stop),
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def _refused(error: Exception) -> Response:
    """Return the response for a request that can never be answered, such as one that is too long."""
    return Response(str(error).strip(), "error", retryable=False)


def _import_vllm() -> tuple[Any, bool]:
    """Import vLLM; say whether it runs on a CPU.

    Raises:
        MissingExtra: it is not installed.
    """
    # one process: no child to outlive a kill, and a model loads in seconds where vLLM is imported already
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    try:
        import vllm
        from vllm.platforms import current_platform
    except ModuleNotFoundError as error:
        if error.name != "vllm":
            raise
        raise _missing() from error
    return vllm, current_platform.is_cpu()


def _missing() -> MissingExtra:
    """Return the error that names the pip line for this machine."""
    extra = "gpu" if shutil.which("nvidia-smi") or Path("/proc/driver/nvidia").exists() else "cpu"
    return MissingExtra("the teacher VLLM", "vllm", extra)


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
