"""Teachers served by vLLM: what the user chooses. vLLM's own names are in `arguments.py` and `engine.py`."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Interval

from potstill.engine.step import Model
from potstill.errors import MissingExtra, Problem
from potstill.models.preload import ENGINE

if TYPE_CHECKING:
    from potstill.teachers.protocol import Session


@dataclass(frozen=True)
class Speculative:
    """Speculative decoding: cheap guesses of the next tokens, which the model then checks at once.

    Leviathan et al. 2023 (arXiv 2211.17192), algorithm 1: the distribution of the answers stays that of the model.
    """

    method: Literal["ngram", "draft_model", "eagle", "eagle3", "mtp", "medusa", "mlp_speculator", "suffix"] = "ngram"
    """Who guesses: `ngram` repeats what followed the same words before, and works in the CPU build too; the others are
    models, which vLLM runs in its own way."""
    num_speculative_tokens: Annotated[int, Ge(1)] = 4
    """Tokens guessed at a time; more pay off only where guesses are mostly right."""
    model: Model | None = None
    """The model that guesses, for the methods that have a separate one."""


@dataclass(frozen=True)
class VLLM:
    """A teacher (or any chat model) run by vLLM (Kwon et al. 2023), in the step's process or in a server beside it.

    Log-probabilities are those of the temperature-1 distribution, whatever the sampling is; where the response is held
    to a form, of that distribution among the tokens that the form allows.
    """

    model: Model
    """A Hub id, a local folder, or a step that makes a model."""
    mode: Literal["offline", "server"] = field(default="offline", kw_only=True)
    """`offline` loads the model in each step's own process; `server` starts one server that steps share."""
    system: str = field(default="", kw_only=True)
    """System prompt put before every chat; a system message of the prompt template follows it."""
    dtype: str = field(default="auto", kw_only=True)
    """Type to compute in; `auto` is the one that the model's config names."""
    quantization: str | None = field(default=None, kw_only=True)
    """vLLM's name of a quantization to apply; None reads it from the model's config."""
    lora: Model | None = field(default=None, kw_only=True)
    """A LoRA adapter put on the model: a folder written by peft, a Hub id, or a step that makes one."""
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
    data_parallel: Annotated[int, Ge(1)] = field(default=1, kw_only=True)
    """Copies of the model side by side, each on GPUs of its own; more than 1 needs `mode="server"`."""
    prefix_caching: bool = field(default=True, kw_only=True)
    """Whether prompts that start alike share the attention cache of their start; scoring never reads it."""
    speculative: Speculative | None = field(default=None, kw_only=True)
    """Speculative decoding; None decodes token by token."""
    enforce_eager: bool | None = field(default=None, kw_only=True)
    """Whether nothing is compiled; None does so on a CPU, where compiling takes longer than it gains."""
    thinking: bool | None = field(default=None, kw_only=True)
    """Whether a model that can think aloud (Qwen3) does so before it answers; None leaves it to its chat template."""
    seed: int = field(default=0, kw_only=True)
    """Seed of the engine; a request that samples brings its own."""
    trust_remote_code: bool = field(default=False, kw_only=True)
    """Whether code from the model's repository may run."""

    heavy: ClassVar[bool] = True
    unkeyed: ClassVar[frozenset[str]] = frozenset(
        {
            "mode",
            "max_num_seqs",
            "kv_cache_gib",
            "memory_fraction",
            "tensor_parallel",
            "data_parallel",
            "prefix_caching",
            "enforce_eager",
            "seed",
        }
    )

    @property
    def preload(self) -> tuple[str, ...]:
        """Modules that a step's process imports; of a server only the tokenizer is needed."""
        return ("transformers",) if self.mode == "server" else ENGINE

    @property
    def label(self) -> str:
        """Short name for reports."""
        from potstill.models.card import name_of

        return name_of(str(self.model))

    def identity(self) -> dict[str, Any]:
        """Return what the responses depend on: the model's content, the system prompt, and how it computes.

        Raises:
            BadInput: the model or the adapter can't be found.
        """
        from potstill.models.identity import model_identity

        depends: dict[str, Any] = {
            "model": model_identity(self.model),
            "system": self.system,
            "dtype": self.dtype,
            "quantization": self.quantization,
            "max_model_length": self.max_model_length,
        }
        return {**depends, **self._chosen()}

    def _chosen(self) -> dict[str, Any]:
        """Return the part of the identity that is there only where something other than the default is chosen."""
        from potstill.models.identity import model_identity
        from potstill.teachers.lora_adapter import adapter_identity

        chosen: dict[str, Any] = {}
        if self.thinking is not None:
            chosen["thinking"] = self.thinking
        if self.trust_remote_code:
            chosen["trust_remote_code"] = True
        if self.lora is not None:
            chosen["lora"] = adapter_identity(self.lora)
        if self.speculative is not None:  # with the same seed other texts are drawn, of the same distribution
            guesses = self.speculative
            chosen["speculative"] = {"method": guesses.method, "tokens": guesses.num_speculative_tokens}
            if guesses.model is not None:
                chosen["speculative"]["model"] = model_identity(guesses.model)
        return chosen

    def check(self) -> Iterable[Problem]:
        """Yield what would keep the teacher from starting, without importing vLLM."""
        if importlib.util.find_spec("vllm") is None:
            yield Problem("", "teacher", str(missing()))
        if self.data_parallel > 1 and self.mode == "offline":
            text = f"data_parallel={self.data_parallel} needs several processes: add mode='server'"
            yield Problem("", "teacher", text)

    def open(self, *, threads: int) -> AbstractContextManager[Session]:
        """Load the model, or connect to a server that has; on exit free what was taken.

        Raises:
            MissingExtra: vLLM is not installed.
            BadInput: the model can't be loaded, or can't chat.
        """
        if self.mode == "server":
            from potstill.teachers.vllm.server import serve

            return serve(self, threads=threads)
        from potstill.teachers.vllm.engine import offline

        return offline(self, threads=threads)

    def service_name(self) -> str:
        """Return the name of the server that steps share, or nothing where there is none."""
        from potstill.teachers.vllm.server import service_name

        return service_name(self) if self.mode == "server" else ""

    def server_arguments(self) -> list[str]:
        """Return the command line of vLLM's OpenAI server for this model, without host, port and key.

        The server knows the model, with its adapter if there is one, by the name `vllm_arguments.SERVED_NAME`.
        """
        from potstill.teachers.vllm.arguments import command_line

        return command_line(self)


def missing() -> MissingExtra:
    """Return the error that names the pip line for this machine."""
    extra = "gpu" if shutil.which("nvidia-smi") or Path("/proc/driver/nvidia").exists() else "cpu"
    return MissingExtra("the teacher VLLM", "vllm", extra)
