"""What this machine's processor can run: 4-bit kernels of vLLM need AVX-512 on an x86 processor."""

from __future__ import annotations

from pathlib import Path

from potstill.compression.quantization_config import bits, quantization

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux says what the processor knows."""
NEEDED = "avx512f"
"""Flag without which vLLM has no 4-bit kernel on an x86 processor."""


def flags(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """Return what the first processor says that it knows; nothing where that can't be read."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    line = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(line.partition(":")[2].split())


def unserved(folder: Path, cpuinfo: Path = CPUINFO) -> str | None:
    """Return why vLLM can't serve the model in `folder` on this machine, or nothing; `cpuinfo` tells of its processor.

    A GPU serves every format. Of a folder without a config that can be read, whoever loads it says what is wrong.
    """
    import torch

    try:
        has_int4 = bits(quantization(folder)) == 4
    except (OSError, ValueError, AttributeError):
        return None
    return int4_problem(flags(cpuinfo)) if has_int4 and not torch.cuda.is_available() else None


def int4_problem(known: frozenset[str]) -> str | None:
    """Return why a processor with these flags can't serve 4-bit weights, or nothing; no flags say nothing."""
    if not known or NEEDED in known:
        return None
    return (
        "this processor has no AVX-512, and vLLM has no 4-bit kernel without it: serve the model on another machine or "
        "on a GPU, or take QuantizeInt8"
    )
