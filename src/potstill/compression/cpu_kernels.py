"""CPU features that kernels need: vLLM's 4-bit kernels need AVX-512 on an x86 processor."""

from __future__ import annotations

from pathlib import Path

from potstill.compression.quantization_config import bits, quantization

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux lists the CPU's flags."""
NEEDED = "avx512f"
"""CPU flag that vLLM's 4-bit kernels need on x86."""


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
        has_int4 = bits(quantization(folder)) == 4
    except (OSError, ValueError, AttributeError):
        return None
    return int4_problem(flags(cpuinfo)) if has_int4 and not torch.cuda.is_available() else None


def int4_problem(cpu_flags: frozenset[str]) -> str | None:
    """Return why a CPU with these flags can't serve 4-bit weights, or None; also None where no flags could be read."""
    if not cpu_flags or NEEDED in cpu_flags:
        return None
    return (
        "this processor has no AVX-512, and vLLM has no 4-bit kernel without it: serve the model on another machine or "
        "on a GPU, or take QuantizeInt8"
    )
