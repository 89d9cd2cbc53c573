"""What the user chooses of a teacher that vLLM runs; the teacher itself, and how vLLM gets them, stand beside it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Interval

from potstill.errors import MissingExtra
from potstill.models.edge import Model


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
class Settings:
    """The fields of `VLLM`, and what the responses depend on."""

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
    """Copies of the model in one server, each on GPUs of its own; more than 1 needs `mode="server"`."""
    replicas: Annotated[int, Ge(1)] = field(default=1, kw_only=True)
    """Servers side by side, each on GPUs of its own; more than 1 means `mode="server"`. Unlike the copies of
    `data_parallel`, one that dies takes no other with it."""
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

    unkeyed: ClassVar[frozenset[str]] = frozenset(
        {
            "mode",
            "max_num_seqs",
            "kv_cache_gib",
            "memory_fraction",
            "tensor_parallel",
            "data_parallel",
            "replicas",
            "prefix_caching",
            "enforce_eager",
            "seed",
        }
    )

    @property
    def is_served(self) -> bool:
        """Whether servers answer, and not the step's own process."""
        return self.mode == "server" or self.replicas > 1

    @property
    def gpus(self) -> int:
        """GPUs that the step's own process computes on."""
        return 0 if self.is_served else self.tensor_parallel

    @property
    def server_gpus(self) -> int:
        """GPUs of all its servers."""
        return self.replicas * self.gpus_each if self.is_served else 0

    @property
    def gpus_each(self) -> int:
        """GPUs of one server."""
        return self.tensor_parallel * self.data_parallel

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


def missing() -> MissingExtra:
    """Return the error that names the pip line for this machine."""
    extra = "gpu" if shutil.which("nvidia-smi") or Path("/proc/driver/nvidia").exists() else "cpu"
    return MissingExtra("the teacher VLLM", "vllm", extra)
