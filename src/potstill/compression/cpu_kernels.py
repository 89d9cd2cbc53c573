"""CPU features that vLLM's kernels need on an x86 processor: AVX-512 for 4 bits, AMX for quantized experts."""

from __future__ import annotations

import json
from pathlib import Path

from potstill.compression.quantization_config import bits, quantization

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux lists the CPU's flags."""
NEEDED = "avx512f"
"""CPU flag that vLLM's 4-bit kernels need on x86."""

NEEDED_BY_EXPERTS = "amx_tile"
"""CPU flag that vLLM's kernels for experts in 8 or 4 bits need on x86."""
COUNTS = ("num_experts", "num_local_experts", "n_routed_experts")
"""Fields of a config that count experts."""


def flags(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """Return the flags of the first CPU; empty where they can't be read."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    line = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(line.partition(":")[2].split())


def unserved(folder: Path, cpuinfo: Path = CPUINFO) -> str | None:
    """Return why vLLM can't serve the model in `folder` on this machine, or None; `cpuinfo` lists its CPU flags.

    A GPU serves every format. A folder whose config can't be read gives None: loading it reports the error.
    """
    import torch

    try:
        stored = quantization(folder)
        has_int4 = bits(stored) == 4
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, AttributeError):
        return None
    if torch.cuda.is_available():
        return None
    if stored and any(config.get(name) for name in COUNTS):
        return experts_problem(flags(cpuinfo), "float" in str(stored.get("format")))
    return int4_problem(flags(cpuinfo)) if has_int4 else None


def experts_problem(cpu_flags: frozenset[str], floats: bool) -> str | None:
    """Return why a CPU with these flags can't serve quantized experts, or None; `floats` are FP8, which none can."""
    if not cpu_flags or (NEEDED_BY_EXPERTS in cpu_flags and not floats):
        return None
    if floats:
        return "vLLM has no kernel for experts in FP8 on a processor: serve the model on a GPU"
    return "this processor has no AMX, which vLLM's kernels for quantized experts need: serve the model on a GPU"


def int4_problem(cpu_flags: frozenset[str]) -> str | None:
    """Return why a CPU with these flags can't serve 4-bit weights, or None; also None where no flags could be read."""
    if not cpu_flags or NEEDED in cpu_flags:
        return None
    return (
        "this processor has no AVX-512, and vLLM has no 4-bit kernel without it: serve the model on another machine or "
        "on a GPU, or take QuantizeInt8"
    )
